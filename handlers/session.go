package handlers

import (
	"context"
	"net/http"
	"strings"
	"time"

	"wxlogin/internal/avatar"
	"wxlogin/internal/request"
	"wxlogin/session"
	"wxlogin/store"
)

// Sessions issues and resolves tokens. *session.Store implements it.
//
// Lookup returns session.ErrNotFound if a token is unknown, expired or revoked. If Redis is unavailable, every method
// returns session.ErrUnavailable.
type Sessions interface {
	Create(ctx context.Context, sess session.Session) (token string, err error)
	Lookup(ctx context.Context, token string) (session.Session, error)
	OtherSessionKeys(ctx context.Context, sess session.Session) ([]string, error)
	NewestSessionKey(ctx context.Context, sess session.Session) (string, error)
	Revoke(ctx context.Context, token string) error
	RevokeAll(ctx context.Context, appID, openID string) error
	Age(sess session.Session) time.Duration
	IdleTTL() time.Duration
	ExpiresAt(sess session.Session) time.Time
}

// Users stores users and their profiles. *store.Users implements it.
//
// All methods but Login return store.ErrNotFound if no user has the identity. If MySQL is unavailable, every method
// returns store.ErrUnavailable. FindOnReplica may return a user as it was a few seconds ago.
type Users interface {
	Login(ctx context.Context, id store.Identity) (user store.User, created bool, err error)
	Find(ctx context.Context, appID, openID string) (store.User, error)
	FindOnReplica(ctx context.Context, appID, openID string) (store.User, error)
	UpdateProfile(ctx context.Context, appID, openID string, p store.Profile) (user store.User, replaced string, err error)
	BindPhone(ctx context.Context, appID, openID string, p store.Phone) (store.User, error)
	// Record returns everything about the user with this id.
	Record(ctx context.Context, id uint64) (store.Record, error)
}

// userInfoResponse is the response of GET /userInfo.
type userInfoResponse struct {
	Status int `json:"status"`
	profileResponse
}

// getUserInfo serves GET /userInfo. The token must be in the header, because proxies log URLs.
func (p *public) getUserInfo(w http.ResponseWriter, r *http.Request) error {
	token, err := request.Token(r.Header, nil)
	if err != nil {
		return err
	}
	sess, err := p.findSession(r.Context(), token)
	if err != nil {
		return err
	}
	user, err := p.currentUser(r.Context(), sess)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, userInfoResponse{http.StatusOK, p.profileResponse(user)})
}

// statusResponse is a response that says only that the request succeeded.
type statusResponse struct {
	Status int `json:"status"`
}

// logout serves POST /logout. It ends the session of the token or, with everywhere=true, all sessions of its user in
// its app.
func (p *public) logout(w http.ResponseWriter, r *http.Request) error {
	f, err := readOptionalFields(w, r)
	if err != nil {
		return err
	}
	token, err := request.Token(r.Header, f)
	if err != nil {
		return err
	}
	if token == "" {
		return apiError{code: codeInvalidToken}
	}
	ctx, cancel := context.WithTimeout(r.Context(), 2*p.storageTimeout)
	defer cancel()
	switch f["everywhere"] {
	case "", "false":
		err = p.revokeSession(ctx, token)
	case "true":
		err = p.revokeAllSessions(ctx, token)
	default:
		err = invalidField("everywhere", "everywhere must be true or false.")
	}
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, statusResponse{Status: http.StatusOK})
}

// readOptionalFields reads a body that may be empty.
func readOptionalFields(w http.ResponseWriter, r *http.Request) (request.Fields, error) {
	if r.ContentLength == 0 {
		return nil, nil
	}
	return request.Read(w, r)
}

// revokeSession ends one session. If it has ended before, that is not an error: a client may repeat a logout.
func (p *public) revokeSession(ctx context.Context, token string) error {
	ctx, cancel := p.withStorageTimeout(ctx)
	defer cancel()
	return p.sessions.Revoke(ctx, token)
}

// revokeAllSessions ends every session of the token's user in its app. Unlike revokeSession it fails if the token is
// unknown: a 200 would mean that the user's other sessions have ended.
func (p *public) revokeAllSessions(ctx context.Context, token string) error {
	sess, err := p.findSession(ctx, token)
	if err != nil {
		return err
	}
	ctx, cancel := p.withStorageTimeout(ctx)
	defer cancel()
	if err := p.sessions.RevokeAll(ctx, sess.AppID, sess.OpenID); err != nil {
		return err
	}
	return p.sessions.Revoke(ctx, token) // in case the user's index has lost it
}

// accounts are the sessions and users, which both listeners read.
type accounts struct {
	sessions       Sessions
	users          Users
	storageTimeout time.Duration
}

// withStorageTimeout bounds a step that waits for MySQL or Redis.
func (a accounts) withStorageTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, a.storageTimeout)
}

// findSession returns the session of a token, and records its app for the access log.
func (a accounts) findSession(ctx context.Context, token string) (session.Session, error) {
	ctx, cancel := a.withStorageTimeout(ctx)
	defer cancel()
	sess, err := a.sessions.Lookup(ctx, token)
	requestLogFrom(ctx).appID = sess.AppID
	return sess, err
}

// sessionForUpdate returns the session of a request that changes its user, and counts the request. The limit is per
// user, not per session: a user can log in again at will. Requests without a session are not counted, because a flood
// of them would fill the counters.
func (p *public) sessionForUpdate(ctx context.Context, r *http.Request, f request.Fields) (session.Session, error) {
	token, err := request.Token(r.Header, f)
	if err != nil {
		return session.Session{}, err
	}
	sess, err := p.findSession(ctx, token)
	if err != nil {
		return session.Session{}, err
	}
	if !p.updateLimiter.Allow(userKey(sess)) {
		return session.Session{}, p.reject(updateRate)
	}
	return sess, nil
}

// currentUser returns the session's user, or an error if the user is not active.
func (p *public) currentUser(ctx context.Context, sess session.Session) (store.User, error) {
	ctx, cancel := p.withStorageTimeout(ctx)
	defer cancel()
	user, err := p.users.Find(ctx, sess.AppID, sess.OpenID)
	if err != nil {
		return store.User{}, err
	}
	return user, rejectDisabled(ctx, user)
}

// rejectDisabled returns an error unless the user is active. Every other status is rejected, including unknown ones. In
// both cases it records the user for the access log.
func rejectDisabled(ctx context.Context, user store.User) error {
	requestLogFrom(ctx).userID = user.ID
	if !user.Active() {
		return apiError{code: codeUserBlocked}
	}
	return nil
}

// profileResponse is the part about the user that responses share.
type profileResponse struct {
	ProfileComplete bool     `json:"profileComplete"`
	PhoneNumber     string   `json:"phoneNumber"` // masked; "" if none is bound, so that clients know whether to ask for it
	UserInfo        userInfo `json:"userInfo"`
}

// userInfo is a profile under WeChat's names. Every field is always present.
type userInfo struct {
	NickName  string `json:"nickName"`
	AvatarURL string `json:"avatarUrl"`
	Gender    int    `json:"gender"` // 0 unknown, 1 male, 2 female
	Country   string `json:"country"`
	Province  string `json:"province"`
	City      string `json:"city"`
	Language  string `json:"language"`
}

func (p *public) profileResponse(u store.User) profileResponse {
	return profileResponse{
		ProfileComplete: u.ProfileComplete(), PhoneNumber: maskPhone(u.Phone.Number), UserInfo: p.userInfo(u),
	}
}

func (p *public) userInfo(u store.User) userInfo { return newUserInfo(u, p.avatars) }

// newUserInfo returns a profile; avatars is nil if there are no uploads.
func newUserInfo(u store.User, avatars Avatars) userInfo {
	info := userInfo{
		NickName: u.NickName, AvatarURL: u.AvatarURL, Gender: u.Gender,
		Country: u.Country, Province: u.Province, City: u.City, Language: u.Language,
	}
	switch {
	case avatars != nil:
		info.AvatarURL = avatars.URL(u.AvatarURL)
	case strings.HasPrefix(u.AvatarURL, avatar.Path):
		info.AvatarURL = "" // uploads were turned off
	}
	return info
}
