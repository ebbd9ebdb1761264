package handlers

import (
	"wxlogin/internal/fields"
	"wxlogin/store"
)

// isTyped tells whether a request carries what a person gave by hand, by the nickname input and chooseAvatar.
func isTyped(f fields.Fields) bool { return f["nickName"] != "" || f["avatarUrl"] != "" }

// typedProfile reads what a person gave by hand. An avatar has an https address, or one that /uploadAvatar gave.
func (p *public) typedProfile(f fields.Fields) (g given, err error) {
	g.source = store.SourcePerson
	if f["encryptedData"] != "" || f["iv"] != "" {
		return g, invalidRequest("The fields nickName and avatarUrl stand in the place of encryptedData and iv.")
	}
	if g.NickName, err = f.NickName(); err != nil {
		return g, err
	}
	if address := f["avatarUrl"]; address != "" && p.avatars != nil && p.avatars.Issued(address) {
		g.AvatarURL, g.issued = address, true
		return g, nil
	}
	g.AvatarURL, err = f.AvatarURL()
	return g, err
}
