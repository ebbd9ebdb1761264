package handlers

import (
	"context"
	"net/http"
	"time"

	"wxlogin/session"
	"wxlogin/store"
	"wxlogin/wechat"
)

// updateAnswer is what POST /updateUserInfo answers.
type updateAnswer struct {
	Status          int      `json:"status"`
	ProfileComplete bool     `json:"profileComplete"`
	Anonymous       bool     `json:"anonymous"` // what was just sent was only WeChat's placeholder
	UserInfo        userInfo `json:"userInfo"`
}

// updateUserInfo is phase two: token and open data in, profile filled in and out.
func (p *public) updateUserInfo(w http.ResponseWriter, r *http.Request) error {
	f, err := readFields(w, r)
	if err != nil {
		return err
	}
	token, err := requestToken(r, f)
	if err != nil {
		return err
	}
	sess, err := p.findSession(r.Context(), token)
	if err != nil {
		return err
	}
	data, err := openDataOf(f)
	if err != nil {
		return err
	}
	info, err := p.open(r.Context(), sess, data)
	if err != nil {
		return err
	}
	user, err := p.saveProfile(r.Context(), sess, info)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, updateAnswer{
		Status: http.StatusOK, ProfileComplete: user.ProfileComplete(), Anonymous: info.Anonymous(), UserInfo: userInfoOf(user),
	})
}

func (p *public) findSession(ctx context.Context, token string) (session.Session, error) {
	ctx, cancel := p.storage(ctx)
	defer cancel()
	return p.sessions.Lookup(ctx, token)
}

// saveProfile stores what is real of the data. Whose profile it is comes from the session alone: the data of
// wx.getUserProfile names nobody, and a unionId in it is not taken either, because open data carries no MAC.
func (p *public) saveProfile(ctx context.Context, sess session.Session, info wechat.UserInfo) (store.User, error) {
	ctx, cancel := p.storage(ctx)
	defer cancel()
	user, err := p.users.UpdateProfile(ctx, sess.AppID, sess.OpenID, profileOf(info))
	if err != nil {
		return store.User{}, err
	}
	if user.Disabled() {
		return store.User{}, failure{code: codeUserBlocked}
	}
	return user, nil
}

// profileOf is the part of WeChat's data that is worth keeping.
func profileOf(info wechat.UserInfo) store.Profile {
	info = info.Real()
	return store.Profile{
		NickName: info.NickName, AvatarURL: info.AvatarURL, Gender: info.Gender,
		Country: info.Country, Province: info.Province, City: info.City, Language: info.Language,
		AsOf: time.Unix(info.Watermark.Timestamp, 0),
	}
}
