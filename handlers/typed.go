package handlers

import (
	"context"

	"wxlogin/internal/fields"
	"wxlogin/session"
	"wxlogin/store"
)

// isTyped tells whether a request carries what a person gave by hand, by the nickname input and chooseAvatar.
func isTyped(f fields.Fields) bool { return f["nickName"] != "" || f["avatarUrl"] != "" }

// typedProfile reads what a person gave by hand. An avatar has an https address, or is the picture that the user has already.
func (p *public) typedProfile(ctx context.Context, sess session.Session, f fields.Fields) (g given, err error) {
	g.source = store.SourcePerson
	if f["encryptedData"] != "" || f["iv"] != "" {
		return g, invalidRequest("The fields nickName and avatarUrl are sent instead of encryptedData and iv, not beside them.")
	}
	if g.NickName, err = f.NickName(); err != nil {
		return g, err
	}
	if g.keepsPicture, err = p.keepsPicture(ctx, sess, f["avatarUrl"]); err != nil || g.keepsPicture {
		return g, err
	}
	g.AvatarURL, err = f.AvatarURL()
	return g, err
}
