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

// readAnswer is what GET /userInfo answers.
type readAnswer struct {
	Status int `json:"status"`
	profileAnswer
}

// readUserInfo gives the profile as it is now. The token comes in the header alone: an address stands in logs of proxies.
func (p *public) readUserInfo(w http.ResponseWriter, r *http.Request) error {
	token, err := request.Token(r.Header, nil)
	if err != nil {
		return err
	}
	sess, err := p.findSession(r.Context(), token)
	if err != nil {
		return err
	}
	user, err := p.userOf(r.Context(), sess)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, readAnswer{http.StatusOK, p.profileAnswer(user)})
}

// userOf finds a session's user; one that is not active is refused.
func (p *public) userOf(ctx context.Context, sess session.Session) (store.User, error) {
	ctx, cancel := p.storage(ctx)
	defer cancel()
	user, err := p.users.Find(ctx, sess.AppID, sess.OpenID)
	if err != nil {
		return store.User{}, err
	}
	return user, refuseDisabled(ctx, user)
}

// refuseDisabled is the answer to a user who may not use the service: disabled by an administrator, or of any other status than
// active, known or not. It notes the user for the request's log line, refused or not.
func refuseDisabled(ctx context.Context, user store.User) error {
	scopeOf(ctx).userID = user.ID
	if !user.Active() {
		return failure{code: codeUserBlocked}
	}
	return nil
}

// logoutAnswer is what POST /logout answers.
type logoutAnswer struct {
	Status int `json:"status"`
}

// logout ends the session of a token, or with everywhere=true all sessions of its user in its app.
func (p *public) logout(w http.ResponseWriter, r *http.Request) error {
	f, err := logoutFields(w, r)
	if err != nil {
		return err
	}
	token, err := request.Token(r.Header, f)
	if err != nil {
		return err
	}
	if token == "" {
		return failure{code: codeInvalidToken}
	}
	ctx, cancel := context.WithTimeout(r.Context(), 2*p.storageTimeout)
	defer cancel()
	switch f["everywhere"] {
	case "", "false":
		err = p.endSession(ctx, token)
	case "true":
		err = p.endAllSessions(ctx, token)
	default:
		err = invalidField("everywhere", "The field everywhere is neither true nor false.")
	}
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, logoutAnswer{Status: http.StatusOK})
}

// logoutFields reads the fields of a request that needs none: with the token in the header, the body may be empty.
func logoutFields(w http.ResponseWriter, r *http.Request) (request.Fields, error) {
	if r.ContentLength == 0 {
		return nil, nil
	}
	return request.Read(w, r)
}

// endSession ends one session. One that has ended already is as the client wants it: a repeated logout is no error.
func (p *public) endSession(ctx context.Context, token string) error {
	ctx, cancel := p.storage(ctx)
	defer cancel()
	return p.sessions.Revoke(ctx, token)
}

// endAllSessions ends every session of the token's user in its app. A token that stands for nobody is refused here: the
// user would take an answer of 200 for the end of sessions that go on.
func (p *public) endAllSessions(ctx context.Context, token string) error {
	sess, err := p.findSession(ctx, token)
	if err != nil {
		return err
	}
	ctx, cancel := p.storage(ctx)
	defer cancel()
	if err := p.sessions.RevokeAll(ctx, sess.AppID, sess.OpenID); err != nil {
		return err
	}
	return p.sessions.Revoke(ctx, token) // the index may have lost it
}

// userInfo is a profile under WeChat's names; every field is always present.
type userInfo struct {
	NickName  string `json:"nickName"`
	AvatarURL string `json:"avatarUrl"`
	Gender    int    `json:"gender"` // 0 unknown, 1 male, 2 female
	Country   string `json:"country"`
	Province  string `json:"province"`
	City      string `json:"city"`
	Language  string `json:"language"`
}

// profileAnswer is the part about the user that answers share.
type profileAnswer struct {
	ProfileComplete bool     `json:"profileComplete"`
	PhoneNumber     string   `json:"phoneNumber"` // masked; "" if none is bound, so that clients know whether to ask for it
	UserInfo        userInfo `json:"userInfo"`
}

func (p *public) profileAnswer(u store.User) profileAnswer {
	return profileAnswer{
		ProfileComplete: u.ProfileComplete(), PhoneNumber: maskPhone(u.Phone.Number), UserInfo: p.userInfo(u),
	}
}

func (p *public) userInfo(u store.User) userInfo {
	info := userInfo{
		NickName: u.NickName, AvatarURL: u.AvatarURL, Gender: u.Gender,
		Country: u.Country, Province: u.Province, City: u.City, Language: u.Language,
	}
	switch {
	case p.avatars != nil:
		info.AvatarURL = p.avatars.URL(u.AvatarURL)
	case strings.HasPrefix(u.AvatarURL, avatar.Path):
		info.AvatarURL = "" // uploads were turned off
	}
	return info
}

// Sessions issues and resolves tokens. *session.Store implements it.
//
// Lookup returns session.ErrNotFound for a token that is unknown, expired or revoked. If storage is unavailable, every method
// returns session.ErrUnavailable.
type Sessions interface {
	Create(ctx context.Context, sess session.Session) (token string, err error)
	Lookup(ctx context.Context, token string) (session.Session, error)
	OtherSessionKeys(ctx context.Context, sess session.Session) ([]string, error)
	Revoke(ctx context.Context, token string) error
	RevokeAll(ctx context.Context, appID, openID string) error
	IdleTTL() time.Duration
	ExpiresAt(sess session.Session) time.Time
}

// Users stores users and their profiles. *store.Users implements it.
//
// All methods but Login return store.ErrNotFound if no user has the identity. If the database is unavailable, every method
// returns store.ErrUnavailable. FindOnReplica may return a user as it was a few seconds ago.
type Users interface {
	Login(ctx context.Context, id store.Identity) (user store.User, created bool, err error)
	Find(ctx context.Context, appID, openID string) (store.User, error)
	FindOnReplica(ctx context.Context, appID, openID string) (store.User, error)
	UpdateProfile(ctx context.Context, appID, openID string, p store.Profile) (user store.User, replaced string, err error)
	BindPhone(ctx context.Context, appID, openID string, p store.Phone) (store.User, error)
}

// updatedSession finds the session of a request that changes its user, and counts it for the user: all sessions share the
// limit, because a user can log in again at will. Requests without a session are not counted: a flood of them would fill the
// counters.
func (p *public) updatedSession(ctx context.Context, r *http.Request, f request.Fields) (session.Session, error) {
	token, err := request.Token(r.Header, f)
	if err != nil {
		return session.Session{}, err
	}
	sess, err := p.findSession(ctx, token)
	if err != nil {
		return session.Session{}, err
	}
	if !p.updates.Allow(userKey(sess)) {
		return session.Session{}, p.refused(updateRate)
	}
	return sess, nil
}

func (p *public) findSession(ctx context.Context, token string) (session.Session, error) {
	ctx, cancel := p.storage(ctx)
	defer cancel()
	sess, err := p.sessions.Lookup(ctx, token)
	scopeOf(ctx).appID = sess.AppID
	return sess, err
}
