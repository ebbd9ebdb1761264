package wechat

import (
	"context"
	"encoding/base64"
	"net/url"
	"strings"
	"time"
)

// MockCode is the code of wx.login in WeChat's developer tools if the project has no appid. It is never valid.
const MockCode = "the code is a mock one"

const (
	apiCode2Session = "jscode2session"

	// A code has about 32 characters. Much longer ones are refused without a call.
	maxCode = 512
	// An openid or unionid has 28 characters.
	maxID = 64
	// A session_key is the base64 of 16 bytes.
	sessionKeyLength = 24
)

// Session is WeChat's response to a code: the user, and the key that decrypts the user's data.
type Session struct {
	OpenID     string `json:"openid"`            // the user in this mini-program; case-sensitive
	UnionID    string `json:"unionid,omitempty"` // the user over all apps of one Open Platform account; often empty
	SessionKey Secret `json:"-"`                 // base64 of 16 bytes; must never reach a client
}

// Code2Session exchanges the code of wx.login for a session, by GET /sns/jscode2session.
//
// The error is an *Error; its Kind says what to do. An empty, mock or overlong code is KindInvalidCode without a call to
// WeChat.
//
// A code is single-use. So the call is retried, at most twice and within the Timeout, only if WeChat says that it did
// nothing (errcode -1) or if no connection was made. If the request may have arrived, it is not sent again: a time-out,
// a lost connection or an unreadable response ends the call with KindUnavailable, a response without a usable openid or
// session_key with KindUnusable. net/http is also kept from repeating a GET whose reused connection died.
func (c *Client) Code2Session(ctx context.Context, code string) (Session, error) {
	if !isPlausibleCode(code) {
		return Session{}, &Error{Kind: KindInvalidCode, API: apiCode2Session, cause: reasonNotACode}
	}
	var resp sessionResponse
	r := request{api: apiCode2Session, path: "/sns/jscode2session", spendsCode: true, query: "appid=" + url.QueryEscape(c.appID) +
		"&grant_type=authorization_code&js_code=" + url.QueryEscape(code) + "&secret=" + url.QueryEscape(string(c.secret))}
	if err := c.call(ctx, r, &resp); err != nil {
		return Session{}, err
	}
	return Session{OpenID: resp.OpenID, UnionID: resp.UnionID, SessionKey: Secret(resp.SessionKey)}, nil
}

func isPlausibleCode(code string) bool {
	return strings.TrimSpace(code) != "" && len(code) <= maxCode && code != MockCode
}

type sessionResponse struct{ OpenID, UnionID, SessionKey string }

// decode requires a valid openid, without which there is no user, and a valid session_key, without which none of the
// user's data could be decrypted. An invalid unionid is dropped: it may come with a later login.
func (r *sessionResponse) decode(o jsonObject) (missing []string) {
	r.OpenID, _ = o.exactText("openid")
	r.UnionID, _ = o.exactText("unionid")
	r.SessionKey, _ = o.exactText("session_key")
	if !validID(r.UnionID) {
		r.UnionID = ""
	}
	if !validID(r.OpenID) {
		missing = append(missing, "openid")
	}
	if !validSessionKey(r.SessionKey) {
		missing = append(missing, "session_key")
	}
	return missing
}

func validID(id string) bool {
	return id != "" && len(id) <= maxID && !strings.ContainsFunc(id, notIDCharacter)
}

func notIDCharacter(r rune) bool {
	return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

func validSessionKey(key string) bool {
	raw, err := base64.StdEncoding.Strict().DecodeString(key)
	return err == nil && len(key) == sessionKeyLength && len(raw) == 16
}

const (
	apiStableToken = "stable_token"

	// WeChat's documentation asks for room for 512 characters.
	maxAccessToken = 1024
	// WeChat sends at most 7200 s. More than a day must be an error.
	maxTokenSeconds = 24 * 60 * 60
)

// StableToken returns the mini-program's access_token and its remaining lifetime, by POST /cgi-bin/stable_token. The
// token is a secret like the AppSecret. Package accesstoken caches and shares it.
//
// WeChat returns the same token while it is valid, for up to two hours. From 5 minutes before its end it returns a new
// one, and both are valid until then. With force it returns a new one at once and revokes the old one. That is for a
// token that has leaked or is refused: at most 20 times a day, and once in 30 s.
//
// The error is an *Error, like that of Code2Session.
func (c *Client) StableToken(ctx context.Context, force bool) (token string, expiresIn time.Duration, err error) {
	body := encodeBody(struct {
		GrantType    string `json:"grant_type"`
		AppID        string `json:"appid"`
		Secret       string `json:"secret"`
		ForceRefresh bool   `json:"force_refresh"`
	}{"client_credential", c.appID, string(c.secret), force})
	var resp tokenResponse
	if err := c.call(ctx, request{api: apiStableToken, path: "/cgi-bin/stable_token", body: body}, &resp); err != nil {
		return "", 0, err
	}
	return resp.AccessToken, time.Duration(resp.ExpiresIn) * time.Second, nil
}

type tokenResponse struct {
	AccessToken string
	ExpiresIn   int64 // seconds
}

func (r *tokenResponse) decode(o jsonObject) (missing []string) {
	r.AccessToken, _ = o.exactText("access_token")
	r.ExpiresIn = o.integer("expires_in")
	if r.AccessToken == "" || len(r.AccessToken) > maxAccessToken || strings.ContainsFunc(r.AccessToken, notPrintableASCII) {
		missing = append(missing, "access_token")
	}
	if r.ExpiresIn <= 0 || r.ExpiresIn > maxTokenSeconds {
		missing = append(missing, "expires_in")
	}
	return missing
}
