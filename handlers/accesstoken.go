package handlers

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/go-chi/chi/v5"

	"wxlogin/internal/request"
	"wxlogin/wechat/accesstoken"
)

// AccessTokens returns the access_token of one mini-program. *accesstoken.Cache implements it, and its errors are those
// of accesstoken.Cache.Token.
type AccessTokens interface {
	Token(ctx context.Context, refused string) (accesstoken.Token, error)
}

// accessTokenAPI serves access_tokens to the team's other services, so that these need neither the AppSecret nor a place
// on its IP whitelist, and do not revoke each other's tokens.
type accessTokenAPI struct {
	apps       map[string]AccessTokens // by appid
	defaultApp string
}

// mountAccessToken adds the routes of the access_token if there are AccessTokens. They require a configured key.
func mountAccessToken(r *chi.Mux, o InternalOptions) {
	if o.AccessTokens == nil {
		return
	}
	a := &accessTokenAPI{o.AccessTokens, o.AppIDs[0]}
	r.Method(http.MethodGet, "/accessToken", requireConfiguredAPIKey(o.APIKeys, handle(a.current)))
	r.Method(http.MethodPost, "/accessToken", requireConfiguredAPIKey(o.APIKeys, handle(a.replace)))
}

// accessTokenResponse is the response of /accessToken, with the names of WeChat's own.
type accessTokenResponse struct {
	AccessToken string `json:"access_token"`
	ExpiresIn   int64  `json:"expires_in"` // seconds that remain, more than 0
}

// current serves GET /accessToken.
func (a *accessTokenAPI) current(w http.ResponseWriter, r *http.Request) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(query["appid"]) > 1 {
		return invalidField("appid", "The query is malformed, or has appid twice.")
	}
	return a.respond(w, r, query.Get("appid"), "")
}

// replace serves POST /accessToken, for a token that WeChat has refused. If it is still the current one and may not be
// replaced yet, the response has it again.
func (a *accessTokenAPI) replace(w http.ResponseWriter, r *http.Request) error {
	f, err := request.Read(w, r)
	if err != nil {
		return err
	}
	refused, err := f.Required("refused")
	if err != nil {
		return err
	}
	return a.respond(w, r, f["appid"], refused)
}

func (a *accessTokenAPI) respond(w http.ResponseWriter, r *http.Request, appID, refused string) error {
	if appID == "" {
		appID = a.defaultApp
	}
	app := a.apps[appID]
	if app == nil {
		return invalidField("appid", "appid is not a mini-program of this server.")
	}
	requestLogFrom(r.Context()).appID = appID
	token, err := app.Token(r.Context(), refused)
	if errors.Is(err, accesstoken.ErrRefused) {
		token, err = app.Token(r.Context(), "")
	}
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, accessTokenResponse{string(token.Value), int64(token.ExpiresIn.Seconds())})
}
