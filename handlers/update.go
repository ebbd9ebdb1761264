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

// updateResponse is the response of POST /updateUserInfo.
type updateResponse struct {
	Status    int  `json:"status"`
	Anonymous bool `json:"anonymous"` // the request contained only WeChat's placeholder
	profileResponse
}

// updateUserInfo serves POST /updateUserInfo, phase two of the flow: it takes a token and a profile, and returns the
// stored profile.
func (p *public) updateUserInfo(w http.ResponseWriter, r *http.Request) error {
	f, err := request.Read(w, r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	sess, err := p.sessionForUpdate(ctx, r, f)
	if err != nil {
		return err
	}
	input, err := p.readProfile(ctx, sess, f)
	if err != nil {
		return err
	}
	user, err := p.updateProfile(ctx, sess, input.profile)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, updateResponse{
		Status: http.StatusOK, Anonymous: input.anonymous, profileResponse: p.profileResponse(user),
	})
}

// profileInput is a profile that a request contains.
type profileInput struct {
	profile   store.Profile
	anonymous bool // it is only WeChat's placeholder, and profile is empty
}

// newProfileInput leaves out WeChat's placeholders. A placeholder's language is left out too, because it says nothing
// about the user. asOf is when WeChat made the data; it is zero if the user has just entered it.
func newProfileInput(info wechat.UserInfo, source store.ProfileSource, asOf time.Time) profileInput {
	if info.IsPlaceholder() {
		return profileInput{anonymous: true}
	}
	info = info.WithoutPlaceholders()
	return profileInput{profile: store.Profile{
		NickName: info.NickName, AvatarURL: info.AvatarURL, Gender: info.Gender,
		Country: info.Country, Province: info.Province, City: info.City, Language: info.Language,
		Source: source, AsOf: asOf,
	}}
}

// readProfile returns the profile that the user entered or, if there is none, the profile that WeChat encrypted.
func (p *public) readProfile(ctx context.Context, sess session.Session, f request.Fields) (profileInput, error) {
	if isManual(f) {
		return p.manualProfile(ctx, sess, f)
	}
	data, err := readEncryptedData(f)
	if err != nil {
		return profileInput{}, err
	}
	info, err := decryptRateLimited(ctx, p.decryptor, sess, data.userInfo)
	if err != nil {
		return profileInput{}, err
	}
	return newProfileInput(cleanUserInfo(info), store.SourceWeChat, time.Unix(info.Watermark.Timestamp, 0)), nil
}

// cleanUserInfo makes WeChat's data fit to be stored. What is not fit is dropped.
func cleanUserInfo(info wechat.UserInfo) wechat.UserInfo {
	info.NickName = profile.CleanNickName(info.NickName)
	info.AvatarURL, _ = profile.AvatarURL(info.AvatarURL)
	info.Country = profile.CleanText(info.Country)
	info.Province = profile.CleanText(info.Province)
	info.City = profile.CleanText(info.City)
	info.Language = profile.CleanText(info.Language)
	return info
}

// isManual reports whether a request contains what the user entered in the nickname input or chose by chooseAvatar.
func isManual(f request.Fields) bool { return f["nickName"] != "" || f["avatarUrl"] != "" }

// manualProfile reads what the user entered. The avatar must have a public https URL, or be the user's current picture.
func (p *public) manualProfile(ctx context.Context, sess session.Session, f request.Fields) (profileInput, error) {
	if f["encryptedData"] != "" || f["iv"] != "" {
		return profileInput{}, invalidRequest("Send either nickName and avatarUrl, or encryptedData and iv, not both.")
	}
	name, err := manualNickName(f["nickName"])
	if err != nil {
		return profileInput{}, err
	}
	address, isCurrent, err := p.manualAvatar(ctx, sess, f["avatarUrl"])
	if err != nil {
		return profileInput{}, err
	}
	input := newProfileInput(wechat.UserInfo{NickName: name, AvatarURL: address}, store.SourceUser, time.Time{})
	input.anonymous = input.anonymous && !isCurrent
	return input, nil
}

// nickNameDetails are the problem details for a nickname that is rejected.
var nickNameDetails = map[error]string{
	profile.ErrInvisible: "nickName must have a visible character.",
	profile.ErrTooLong:   "nickName must be 1 to 32 characters, and at most 255 Unicode code points.",
	profile.ErrCharacter: "nickName contains a character that does not belong in a name.",
}

func manualNickName(entered string) (string, error) {
	if entered == "" {
		return "", nil
	}
	name, err := profile.NickName(entered)
	if err != nil {
		return "", invalidField("nickName", nickNameDetails[err])
	}
	return name, nil
}

// manualAvatar reads the URL of an avatar. If it is the user's current picture, isCurrent is true and address is empty:
// that picture stays, and this server's own URL need not be public.
func (p *public) manualAvatar(
	ctx context.Context, sess session.Session, entered string,
) (address string, isCurrent bool, err error) {
	if entered == "" {
		return "", false, nil
	}
	if isCurrent, err = p.isCurrentAvatar(ctx, sess, strings.TrimSpace(entered)); err != nil || isCurrent {
		return "", isCurrent, err
	}
	address, ok := profile.AvatarURL(entered)
	if !ok {
		return "", false, invalidField("avatarUrl", "avatarUrl must be an https URL on a public host, at most 1024 characters.")
	}
	if address != entered { // another spelling may have hidden that it is one of this server's pictures
		if isCurrent, err = p.isCurrentAvatar(ctx, sess, address); err != nil || isCurrent {
			return "", isCurrent, err
		}
	}
	return address, false, nil
}

// updateProfile merges new data into the profile of the session's user, and deletes the picture that it replaces. Only
// the session identifies the user: the data of wx.getUserProfile contains no openid. A unionId in the data is ignored,
// because encrypted data has no MAC.
func (p *public) updateProfile(ctx context.Context, sess session.Session, input store.Profile) (store.User, error) {
	bounded, cancel := p.withStorageTimeout(ctx)
	defer cancel()
	user, replaced, err := p.users.UpdateProfile(bounded, sess.AppID, sess.OpenID, input)
	if err != nil {
		return store.User{}, err
	}
	if replaced != "" && p.avatars != nil {
		p.deletePicture(ctx, replaced)
	}
	return user, rejectDisabled(ctx, user)
}
