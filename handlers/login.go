package handlers

import (
	"context"
	"net/http"

	"wxlogin/internal/request"
	"wxlogin/session"
	"wxlogin/store"
	"wxlogin/wechat"
)

// maxCode is the longest code in bytes that is passed on to WeChat, whose own are about 32.
const maxCode = 128

// loginAnswer is what POST /onLogin answers.
type loginAnswer struct {
	Status    int    `json:"status"`
	Token     string `json:"token"`
	ExpiresIn int64  `json:"expiresIn"` // seconds without use
	IsNewUser bool   `json:"isNewUser"`
	profileAnswer
}

// onLogin is phase one: code in, token out.
func (p *public) onLogin(w http.ResponseWriter, r *http.Request) error {
	answer, err := p.login(w, r)
	p.metrics.login(answer.IsNewUser, err)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, answer)
}

func (p *public) login(w http.ResponseWriter, r *http.Request) (loginAnswer, error) {
	app, code, err := p.loginRequest(w, r)
	if err != nil {
		return loginAnswer{}, err
	}
	scopeOf(r.Context()).appID = app.AppID()
	// A client beyond its limit takes no place in the queue, and a login that gets no place is not counted.
	counted, ok := p.logins.Reserve(clientKey(r))
	if !ok {
		return loginAnswer{}, p.refused(loginRate)
	}
	defer counted.Release()
	if !p.admission.enter(r.Context()) {
		return loginAnswer{}, p.refused(overload)
	}
	defer p.admission.leave()
	counted.Keep()
	return p.exchange(r.Context(), app, code)
}

// exchange turns a code into a session of a user who exists from then on.
func (p *public) exchange(ctx context.Context, app CodeExchanger, code string) (loginAnswer, error) {
	exchanged, err := app.Code2Session(ctx, code)
	if err != nil {
		return loginAnswer{}, err
	}
	ctx, cancel := p.storage(ctx)
	defer cancel()
	user, created, err := p.findUser(ctx, store.Identity{
		AppID: app.AppID(), OpenID: exchanged.OpenID, UnionID: exchanged.UnionID,
	})
	if err != nil {
		return loginAnswer{}, err
	}
	token, err := p.sessions.Create(ctx, session.Session{
		AppID: app.AppID(), OpenID: exchanged.OpenID, SessionKey: exchanged.SessionKey,
	})
	if err != nil {
		return loginAnswer{}, err
	}
	return loginAnswer{
		Status: http.StatusOK, Token: token, ExpiresIn: int64(p.sessions.IdleTTL().Seconds()),
		IsNewUser: created, profileAnswer: p.profileAnswer(user),
	}, nil
}

// loginRequest reads which app a user logs in to, and the code.
func (p *public) loginRequest(w http.ResponseWriter, r *http.Request) (CodeExchanger, string, error) {
	f, err := request.Read(w, r)
	if err != nil {
		return nil, "", err
	}
	code, err := f.Required("code")
	if err != nil {
		return nil, "", err
	}
	if err := checkCode(code); err != nil {
		return nil, "", err
	}
	appID := f["appid"]
	if appID == "" {
		appID = p.defaultApp
	}
	app := p.apps[appID]
	if app == nil {
		return nil, "", invalidField("appid", "The field appid names a mini-program that this server does not serve.")
	}
	return app, code, nil
}

// checkCode refuses what cannot be a code, before WeChat's quota is spent on it.
func checkCode(code string) error {
	if code == wechat.MockCode {
		return failure{code: codeInvalidCode,
			detail: "This is the mock code of DevTools without an appid: open the project there with your appid."}
	}
	if len(code) > maxCode {
		return invalidField("code", "The field code is longer than 128 bytes.")
	}
	for _, c := range []byte(code) {
		if c <= ' ' || c > '~' {
			return invalidField("code", "The field code holds a character that no code has.")
		}
	}
	return nil
}

// findUser finds or creates the user; one that is not active gets no session.
func (p *public) findUser(ctx context.Context, id store.Identity) (store.User, bool, error) {
	user, created, err := p.users.Login(ctx, id)
	if err != nil {
		return store.User{}, false, err
	}
	scope := scopeOf(ctx)
	scope.login = loginReturning
	if created {
		scope.login = loginNew
	}
	return user, created, refuseDisabled(ctx, user)
}

// CodeExchanger exchanges the code of wx.login with WeChat for one mini-program. *wechat.Client is one.
type CodeExchanger interface {
	AppID() string
	Code2Session(ctx context.Context, code string) (wechat.Session, error)
}
