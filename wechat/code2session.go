package wechat

import (
	"context"
	"encoding/base64"
	"net/url"
	"strings"
	"time"
)

// MockCode is what wx.login gives in WeChat's developer tools when the project has no appid. It is never valid.
const MockCode = "the code is a mock one"

const (
	apiCode2Session = "jscode2session"

	// A code is about 32 characters; what is far longer is refused without a call.
	maxCode = 512
	// An openid or unionid is 28 characters.
	maxID = 64
	// A session_key is the base64 of 16 bytes.
	sessionKeyText = 24
)

// Session is what WeChat answers to a code: who it is, and the key that opens that user's encrypted data.
type Session struct {
	OpenID     string `json:"openid"`            // the user in this mini-program; case-sensitive
	UnionID    string `json:"unionid,omitempty"` // the user over all apps of one Open Platform account; often empty
	SessionKey Secret `json:"-"`                 // base64 of 16 bytes; must never reach a client or a log
}

// Code2Session exchanges the code of wx.login for a session, by GET /sns/jscode2session.
//
// The error is an *Error; KindOf tells what to do about it. An empty, mock or overlong code is KindInvalidCode without
// a call to WeChat.
//
// A code is single-use. So the exchange is repeated, at most twice and within the Timeout, only where WeChat says that
// it did nothing (errcode -1) or where no connection was made. If it may have arrived it is not sent again: a time-out,
// a lost connection or an answer that cannot be read ends the call with KindUnavailable, an answer without a usable openid or
// session_key with KindUnusable. net/http's own repetition of a GET whose reused connection died is prevented too.
func (c *Client) Code2Session(ctx context.Context, code string) (Session, error) {
	if !plausibleCode(code) {
		return Session{}, &Error{Kind: KindInvalidCode, API: apiCode2Session, cause: causeNoCode}
	}
	var answer sessionAnswer
	r := request{api: apiCode2Session, path: "/sns/jscode2session", spendsCode: true, query: "appid=" + url.QueryEscape(c.appID) +
		"&grant_type=authorization_code&js_code=" + url.QueryEscape(code) + "&secret=" + url.QueryEscape(string(c.secret))}
	if err := c.call(ctx, r, &answer); err != nil {
		return Session{}, err
	}
	return Session{OpenID: answer.OpenID, UnionID: answer.UnionID, SessionKey: Secret(answer.SessionKey)}, nil
}

func plausibleCode(code string) bool {
	return strings.TrimSpace(code) != "" && len(code) <= maxCode && code != MockCode
}

type sessionAnswer struct{ OpenID, UnionID, SessionKey string }

// read makes sure that nothing half-read goes on to a database: without an openid there is no user, and without a
// proper key nothing that the user sends later could be opened. A unionid may come another time.
func (a *sessionAnswer) read(o object) (missing []string) {
	a.OpenID, _ = o.exactText("openid")
	a.UnionID, _ = o.exactText("unionid")
	a.SessionKey, _ = o.exactText("session_key")
	if !validID(a.UnionID) {
		a.UnionID = ""
	}
	if !validID(a.OpenID) {
		missing = append(missing, "openid")
	}
	if !validSessionKey(a.SessionKey) {
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
	return err == nil && len(key) == sessionKeyText && len(raw) == 16
}

const (
	apiStableToken = "stable_token"

	// WeChat asks to have room for 512 characters.
	maxAccessToken = 1024
	// WeChat gives at most 7200 s; a day is beyond anything that it could mean.
	maxTokenSeconds = 24 * 60 * 60
)

// StableToken gets the mini-program's access_token, by POST /cgi-bin/stable_token. It is a secret like the AppSecret.
//
// WeChat gives the same token while it is valid, with the time that remains (up to two hours), and a new one from 5 minutes
// before the end of the old one, which stays valid meanwhile. With force it gives a new one at once and ends the old one:
// for a token that has leaked or is refused, at most 20 times a day and once in 30 s.
//
// The error is an *Error, as that of Code2Session.
func (c *Client) StableToken(ctx context.Context, force bool) (token string, expiresIn time.Duration, err error) {
	body := encodeBody(struct {
		GrantType    string `json:"grant_type"`
		AppID        string `json:"appid"`
		Secret       string `json:"secret"`
		ForceRefresh bool   `json:"force_refresh"`
	}{"client_credential", c.appID, string(c.secret), force})
	var answer tokenAnswer
	if err := c.call(ctx, request{api: apiStableToken, path: "/cgi-bin/stable_token", body: body}, &answer); err != nil {
		return "", 0, err
	}
	return answer.AccessToken, time.Duration(answer.ExpiresIn) * time.Second, nil
}

type tokenAnswer struct {
	AccessToken string
	ExpiresIn   int64 // seconds
}

func (a *tokenAnswer) read(o object) (missing []string) {
	a.AccessToken, _ = o.exactText("access_token")
	a.ExpiresIn = o.integer("expires_in")
	if a.AccessToken == "" || len(a.AccessToken) > maxAccessToken || strings.ContainsFunc(a.AccessToken, notPrintableASCII) {
		missing = append(missing, "access_token")
	}
	if a.ExpiresIn <= 0 || a.ExpiresIn > maxTokenSeconds {
		missing = append(missing, "expires_in")
	}
	return missing
}
