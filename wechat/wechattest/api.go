package wechattest

import (
	"bytes"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
)

// API is one of WeChat's APIs that the simulator has.
type API string

// The APIs, by the last part of their paths.
const (
	Logins       API = "jscode2session"
	Tokens       API = "stable_token"
	PhoneNumbers API = "getuserphonenumber"
)

// errMsgs are WeChat's words for its errcodes.
var errMsgs = map[int]string{
	-1:    "system error",
	40001: "invalid credential, access_token is invalid or not latest",
	40002: "invalid grant_type",
	40013: "invalid appid",
	40014: "invalid access_token",
	40029: "invalid code",
	40125: "invalid appsecret",
	40163: "code been used",
	40164: "invalid ip 192.0.2.1 ipv6 ::ffff:192.0.2.1, not in whitelist",
	40226: "code blocked",
	40243: "AppSecret frozen",
	41001: "access_token missing",
	41002: "appid missing",
	41004: "appsecret missing",
	41008: "missing code",
	47001: "data format error",
	42001: "access_token expired",
	43002: "require POST method",
	45009: "reach max api daily quota limit",
	45011: "api minute-quota reach limit  mustslower  retry next minute",
	48001: "api unauthorized",
}

// apiFunc answers a call of one of WeChat's APIs, or refuses it with an errcode. The body is that of a POST.
type apiFunc func(r *http.Request, body []byte) (answer any, errCode int)

// serve makes a handler of an API: it counts calls, and faults come first, since those of a network do not wait for a
// valid request.
func (s *Simulator) serve(api API, answer apiFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		fault := s.arrived(api)
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxControlBody)) // without it nobody sees the caller leave
		if err != nil || !wait(r, s.latency+fault.delay()) {
			return // the caller is gone
		}
		if s.misbehave(w, fault, func() { answer(r, body) }) {
			return
		}
		v, errCode := answer(r, body)
		if errCode != 0 {
			s.refuse(w, errCode)
			return
		}
		s.send(w, v)
	}
}

// arrived counts a call and takes the next fault, "" where there is none.
func (s *Simulator) arrived(api API) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch api {
	case Logins:
		s.stats.Calls++
	case Tokens:
		s.stats.TokenCalls++
	case PhoneNumbers:
		s.stats.PhoneCalls++
	}
	queue := s.faults[api]
	if len(queue) == 0 {
		return ""
	}
	s.faults[api] = queue[1:]
	return queue[0]
}

// refuse answers an errcode, with a request id such as WeChat's: three groups of 8 hex digits, the first of them the
// time.
func (s *Simulator) refuse(w http.ResponseWriter, errCode int) {
	s.mu.Lock()
	s.countLocked(errCode)
	s.mu.Unlock()
	msg, ok := errMsgs[errCode]
	if !ok {
		msg = "simulated error"
	}
	random := hex.EncodeToString(randomBytes(8))
	rid := fmt.Sprintf("%08x-%s-%s", uint32(s.now().Unix()), random[:8], random[8:])
	s.send(w, struct {
		ErrCode int    `json:"errcode"`
		ErrMsg  string `json:"errmsg"`
	}{errCode, msg + ", rid: " + rid})
}

// send answers as WeChat does: JSON that is called text/plain, with slashes escaped.
func (s *Simulator) send(w http.ResponseWriter, answer any) {
	w.Header().Set("Content-Type", "text/plain")
	w.Write(bytes.ReplaceAll(encode(answer), []byte("/"), []byte(`\/`)))
}

type sessionAnswer struct {
	SessionKey string `json:"session_key"`
	OpenID     string `json:"openid"`
	UnionID    string `json:"unionid,omitempty"`
}

// jscode2session is GET /sns/jscode2session.
func (s *Simulator) jscode2session(r *http.Request, _ []byte) (any, int) {
	appID, errCode := s.checkCall(r)
	if errCode != 0 {
		return nil, errCode
	}
	return s.exchange(appID, r.URL.Query().Get("js_code"))
}

// checkCall checks all but the code. WeChat sees the query of a GET only: with a POST everything is missing.
func (s *Simulator) checkCall(r *http.Request) (appID string, errCode int) {
	query := r.URL.Query()
	appID = query.Get("appid")
	secret, known := s.apps[appID]
	switch {
	case r.Method != http.MethodGet || appID == "":
		return "", 41002
	case query.Get("secret") == "":
		return "", 41004
	case !known:
		return "", 40013
	case subtle.ConstantTimeCompare([]byte(secret), []byte(query.Get("secret"))) != 1:
		return "", 40125
	case query.Get("js_code") == "":
		return "", 41008
	case query.Get("grant_type") != "authorization_code":
		return "", 40002
	}
	return appID, 0
}

// exchange spends a code. What it answers is the session_key that is valid now, not the one at the time of wx.login:
// there is one only.
func (s *Simulator) exchange(appID, code string) (any, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, known := s.codes[code]
	if !known || c.forPhone || c.account.appID != appID || s.expired(c, s.now()) {
		return nil, 40029
	}
	if c.spent {
		return nil, 40163
	}
	c.spent = true
	s.stats.Exchanged++
	a := s.accounts[c.account]
	return sessionAnswer{a.sessionKey, a.openID, s.people[c.account.name].UnionID}, 0
}
