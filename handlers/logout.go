package handlers

import (
	"context"
	"net/http"

	"wxlogin/internal/request"
)

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
