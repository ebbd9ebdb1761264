package wechat

import (
	"context"
	"encoding/base64"
	"net/url"
	"strings"
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
