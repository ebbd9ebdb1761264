package handlers

import (
	"context"
	"net/http"
	"strings"
	"time"

	"wxlogin/internal/profile"
	"wxlogin/internal/request"
	"wxlogin/session"
	"wxlogin/store"
	"wxlogin/wechat"
)

// updateAnswer is what POST /updateUserInfo answers.
type updateAnswer struct {
	Status    int  `json:"status"`
	Anonymous bool `json:"anonymous"` // what was just sent was only WeChat's placeholder
	profileAnswer
}

// updateUserInfo is phase two: token and open data in, profile filled in and out.
func (p *public) updateUserInfo(w http.ResponseWriter, r *http.Request) error {
	f, err := request.Read(w, r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	sess, err := p.updatedSession(ctx, r, f)
	if err != nil {
		return err
	}
	given, err := p.givenProfile(ctx, sess, f)
	if err != nil {
		return err
	}
	user, err := p.updateProfile(ctx, sess, given.profile())
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, updateAnswer{
		Status: http.StatusOK, Anonymous: given.anonymous(), profileAnswer: p.profileAnswer(user),
	})
}

// given is a profile that came with a request.
type given struct {
	wechat.UserInfo
	source store.ProfileSource
	// keepsPicture says that the avatar that was given is the one that the user has.
	keepsPicture bool
}

// anonymous reports whether nothing was given but WeChat's placeholder.
func (g given) anonymous() bool { return !g.keepsPicture && g.IsPlaceholder() }

// givenProfile is what the person typed, or else what WeChat encrypted.
func (p *public) givenProfile(ctx context.Context, sess session.Session, f request.Fields) (given, error) {
	if isTyped(f) {
		return p.typedProfile(ctx, sess, f)
	}
	data, err := openDataOf(f)
	if err != nil {
		return given{}, err
	}
	info, err := openWithinLimit(ctx, p, sess, data.openWith)
	return fromWeChat(info), err
}

// profile is the part of it that is worth keeping: nothing of a placeholder, whose language says nothing. What was typed is as
// new as the request.
func (g given) profile() store.Profile {
	if g.anonymous() {
		return store.Profile{}
	}
	info := g.WithoutPlaceholders()
	p := store.Profile{
		NickName: info.NickName, AvatarURL: info.AvatarURL, Gender: info.Gender,
		Country: info.Country, Province: info.Province, City: info.City, Language: info.Language,
		Source: g.source,
	}
	if g.source == store.SourceWeChat {
		p.AsOf = time.Unix(info.Watermark.Timestamp, 0)
	}
	return p
}

// isTyped reports whether a request carries what a person gave by hand, by the nickname input and chooseAvatar.
func isTyped(f request.Fields) bool { return f["nickName"] != "" || f["avatarUrl"] != "" }

// typedProfile reads what a person gave by hand. An avatar has a public https address, or is the picture that the user has
// already.
func (p *public) typedProfile(ctx context.Context, sess session.Session, f request.Fields) (g given, err error) {
	g.source = store.SourceUser
	if f["encryptedData"] != "" || f["iv"] != "" {
		return g, invalidRequest("The fields nickName and avatarUrl are sent instead of encryptedData and iv, not beside them.")
	}
	if g.NickName, err = typedNickName(f["nickName"]); err != nil {
		return g, err
	}
	g.AvatarURL, g.keepsPicture, err = p.typedAvatar(ctx, sess, f["avatarUrl"])
	return g, err
}

// nickNameDetails say why a nickname is refused.
var nickNameDetails = map[error]string{
	profile.ErrInvisible: "The field nickName has no visible character.",
	profile.ErrTooLong:   "The field nickName is longer than 32 characters, or 255 Unicode code points.",
	profile.ErrCharacter: "The field nickName has a character that does not belong in a name.",
}

func typedNickName(typed string) (string, error) {
	if typed == "" {
		return "", nil
	}
	name, err := profile.NickName(typed)
	if err != nil {
		return "", invalidField("nickName", nickNameDetails[err])
	}
	return name, nil
}

// typedAvatar reads the address of an avatar. keeps reports that it is the picture that the user has: this server's own address
// need not be public.
func (p *public) typedAvatar(ctx context.Context, sess session.Session, typed string) (address string, keeps bool, err error) {
	if typed == "" {
		return "", false, nil
	}
	if keeps, err = p.keepsPicture(ctx, sess, strings.TrimSpace(typed)); err != nil || keeps {
		return "", keeps, err
	}
	address, ok := profile.AvatarURL(typed)
	if !ok {
		return "", false, invalidField("avatarUrl", "The field avatarUrl is not an https address of a public server, of at most 1024 characters.")
	}
	if address != typed { // another spelling may have hidden that it is one of this server's pictures
		if keeps, err = p.keepsPicture(ctx, sess, address); err != nil || keeps {
			return "", keeps, err
		}
	}
	return address, false, nil
}

// fromWeChat reads what WeChat encrypted. What may not be stored counts as not given.
func fromWeChat(info wechat.UserInfo) given {
	info.NickName = profile.CleanNickName(info.NickName)
	info.AvatarURL, _ = profile.AvatarURL(info.AvatarURL)
	info.Country = profile.CleanText(info.Country)
	info.Province = profile.CleanText(info.Province)
	info.City = profile.CleanText(info.City)
	info.Language = profile.CleanText(info.Language)
	return given{UserInfo: info, source: store.SourceWeChat}
}
