package handlers

import (
	"context"
	"errors"
	"net/http"
	"time"

	"wxlogin/internal/fields"
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
	f, err := fields.Read(w, r)
	if err != nil {
		return err
	}
	token, err := fields.Token(r.Header, f)
	if err != nil {
		return err
	}
	// Redis is asked up to three times and MySQL once; in all they get no more time than this.
	ctx, cancel := context.WithTimeout(r.Context(), 3*p.storageTimeout)
	defer cancel()
	sess, err := p.findSession(ctx, token)
	if err != nil {
		return err
	}
	if !p.updates.take(w, r, sessionKey(token)) {
		return p.refused(updateRate)
	}
	data, err := openDataOf(f)
	if err != nil {
		return err
	}
	info, err := p.openWithinLimit(ctx, w, r, sess, data)
	if err != nil {
		return err
	}
	user, err := p.saveProfile(ctx, sess, info)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, updateAnswer{
		Status: http.StatusOK, ProfileComplete: user.ProfileComplete(), Anonymous: info.Anonymous(), UserInfo: userInfoOf(user),
	})
}

// openWithinLimit opens the data of a user who has not sent too much that cannot be opened. Failures are counted for the
// user, not for the session: an attacker begins sessions of his own at will, but WeChat gives him one openid.
func (p *public) openWithinLimit(
	ctx context.Context, w http.ResponseWriter, r *http.Request, sess session.Session, data openData,
) (wechat.UserInfo, error) {
	if p.failedUpdates.spent(userKey(sess)) {
		return wechat.UserInfo{}, p.refused(failedUpdateRate)
	}
	info, err := p.open(ctx, sess, data)
	if errors.Is(err, wechat.ErrOpenData) && !p.failedUpdates.take(w, r, userKey(sess)) {
		// Others failed in the meantime: this one learns no more than those that come after it.
		return wechat.UserInfo{}, p.refused(failedUpdateRate)
	}
	return info, err
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
