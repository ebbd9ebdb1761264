package handlers

import (
	"context"
	"net/http"

	"wxlogin/internal/request"
	"wxlogin/session"
	"wxlogin/store"
	"wxlogin/wechat"
)

// CodeExchanger exchanges codes of wx.login at WeChat for one mini-program. *wechat.Client implements it, and its
// errors are *wechat.Error.
type CodeExchanger interface {
	AppID() string
	Code2Session(ctx context.Context, code string) (wechat.Session, error)
}

// maxCodeLen is the longest code in bytes that is sent to WeChat. WeChat's own codes have about 32.
const maxCodeLen = 128

// loginResponse is the response of POST /onLogin.
type loginResponse struct {
	Status    int    `json:"status"`
	Token     string `json:"token"`
	ExpiresIn int64  `json:"expiresIn"` // seconds without use
	IsNewUser bool   `json:"isNewUser"`
	profileResponse
}

// onLogin serves POST /onLogin, phase one of the flow: it takes a code and returns a token.
func (p *public) onLogin(w http.ResponseWriter, r *http.Request) error {
	response, err := p.login(w, r)
	p.metrics.login(response.IsNewUser, err)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, response)
}

func (p *public) login(w http.ResponseWriter, r *http.Request) (loginResponse, error) {
	app, code, err := p.readLoginRequest(w, r)
	if err != nil {
		return loginResponse{}, err
	}
	requestLogFrom(r.Context()).appID = app.AppID()
	// A client beyond its limit must not take a slot, not even in the queue. A login that gets no slot must not count
	// towards the limit. So the limit is reserved first and counted only once there is a slot.
	reservation, ok := p.loginLimiter.Reserve(clientKey(r))
	if !ok {
		return loginResponse{}, p.reject(loginRate)
	}
	defer reservation.Release()
	if !p.loginSlots.acquire(r.Context()) {
		return loginResponse{}, p.reject(tooManyLogins)
	}
	defer p.loginSlots.release()
	reservation.Keep()
	return p.exchange(r.Context(), app, code)
}

// readLoginRequest returns the app that the user logs in to, and the code.
func (p *public) readLoginRequest(w http.ResponseWriter, r *http.Request) (CodeExchanger, string, error) {
	f, err := request.Read(w, r)
	if err != nil {
		return nil, "", err
	}
	code, err := f.Required("code")
	if err != nil {
		return nil, "", err
	}
	if err := validateCode(code); err != nil {
		return nil, "", err
	}
	appID := f["appid"]
	if appID == "" {
		appID = p.defaultApp
	}
	app := p.apps[appID]
	if app == nil {
		return nil, "", invalidField("appid", "appid is not a mini-program of this server.")
	}
	return app, code, nil
}

// validateCode rejects a string that cannot be a code, before it costs a call to WeChat.
func validateCode(code string) error {
	if code == wechat.MockCode {
		return apiError{code: codeInvalidCode,
			detail: "This is the mock code that DevTools returns without an appid: open the project with your appid."}
	}
	if len(code) > maxCodeLen {
		return invalidField("code", "code must be at most 128 bytes.")
	}
	for _, c := range []byte(code) {
		if c <= ' ' || c > '~' {
			return invalidField("code", "code contains an invalid character.")
		}
	}
	return nil
}

// exchange exchanges the code at WeChat, creates a session, and finds or creates the user.
//
// The session comes first: if the user is erased at the same time, either the erase ends the session, or the login finds
// no user and creates a new one. In the reverse order a session could outlive its user.
func (p *public) exchange(ctx context.Context, app CodeExchanger, code string) (loginResponse, error) {
	exchanged, err := app.Code2Session(ctx, code)
	if err != nil {
		return loginResponse{}, err
	}
	ctx, cancel := p.withStorageTimeout(ctx)
	defer cancel()
	token, err := p.sessions.Create(ctx, session.Session{
		AppID: app.AppID(), OpenID: exchanged.OpenID, SessionKey: string(exchanged.SessionKey),
	})
	if err != nil {
		return loginResponse{}, err
	}
	user, created, err := p.findOrCreateUser(ctx, store.Identity{
		AppID: app.AppID(), OpenID: exchanged.OpenID, UnionID: exchanged.UnionID,
	})
	if err != nil {
		p.dropSession(ctx, token)
		return loginResponse{}, err
	}
	return loginResponse{
		Status: http.StatusOK, Token: token, ExpiresIn: int64(p.sessions.IdleTTL().Seconds()),
		IsNewUser: created, profileResponse: p.profileResponse(user),
	}, nil
}

// dropSession ends the session of a login that has failed. If that fails too, the session ends unused: its token is not in
// the response.
func (p *public) dropSession(ctx context.Context, token string) {
	if err := p.revokeSession(context.WithoutCancel(ctx), token); err != nil {
		p.logger.DebugContext(ctx, "cannot end the session of a failed login", "cause", err)
	}
}

// findOrCreateUser returns the user with an identity. A user who is not active gets an error, and so no session.
func (p *public) findOrCreateUser(ctx context.Context, id store.Identity) (user store.User, created bool, err error) {
	user, created, err = p.users.Login(ctx, id)
	if err != nil {
		return store.User{}, false, err
	}
	log := requestLogFrom(ctx)
	log.login = loginReturning
	if created {
		log.login = loginNew
	}
	return user, created, rejectDisabled(ctx, user)
}
