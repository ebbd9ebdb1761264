package handlers

import (
	"context"
	"net/http"

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
