package wechattest

import (
	"bytes"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
)

// API is one of WeChat's APIs that the simulator implements.
type API string

// The APIs, by the last part of their paths.
const (
	Logins       API = "jscode2session"
	Tokens       API = "stable_token"
	PhoneNumbers API = "getuserphonenumber"
)

// errMsgs are WeChat's texts for its errcodes.
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

// apiFunc handles a call of one of WeChat's APIs. It returns the response or an errcode. body is that of a POST.
type apiFunc func(r *http.Request, body []byte) (response any, errCode int)

// apiHandler returns the handler of an API. It records the call and applies a fault before it checks the request,
// because network faults do not depend on the request.
func (s *Simulator) apiHandler(api API, handle apiFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		fault := s.recordCall(api)
		_, delay, _ := parseFault(string(fault))
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxControlBody)) // if it is not read, net/http does not notice that the caller disconnects
		if err != nil || !sleep(r, s.latency+delay) {
			return // the caller has disconnected
		}
		if s.applyFault(w, fault, func() { handle(r, body) }) {
			return
		}
		v, errCode := handle(r, body)
		if errCode != 0 {
			s.sendError(w, errCode)
			return
		}
		s.sendJSON(w, v)
	}
}

// recordCall counts a call and returns its fault, "" if there is none.
func (s *Simulator) recordCall(api API) Fault {
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

// sendError sends an errcode, with a request id like WeChat's: three groups of 8 hex digits, of which the first is the
// time.
func (s *Simulator) sendError(w http.ResponseWriter, errCode int) {
	s.mu.Lock()
	s.stats.ErrCodes[errCode]++
	s.mu.Unlock()
	msg, ok := errMsgs[errCode]
	if !ok {
		msg = "simulated error"
	}
	random := hex.EncodeToString(randomBytes(8))
	rid := fmt.Sprintf("%08x-%s-%s", uint32(s.now().Unix()), random[:8], random[8:])
	s.sendJSON(w, struct {
		ErrCode int    `json:"errcode"`
		ErrMsg  string `json:"errmsg"`
	}{errCode, msg + ", rid: " + rid})
}

// sendJSON sends a response as WeChat does: JSON as text/plain, with slashes escaped.
func (s *Simulator) sendJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "text/plain")
	w.Write(bytes.ReplaceAll(encode(v), []byte("/"), []byte(`\/`)))
}

type sessionResponse struct {
	SessionKey string `json:"session_key"`
	OpenID     string `json:"openid"`
	UnionID    string `json:"unionid,omitempty"`
}

// jscode2session is GET /sns/jscode2session.
func (s *Simulator) jscode2session(r *http.Request, _ []byte) (any, int) {
	appID, errCode := s.checkParams(r)
	if errCode != 0 {
		return nil, errCode
	}
	return s.exchange(appID, r.URL.Query().Get("js_code"))
}

// checkParams checks all parameters but the code. WeChat reads only the query of a GET: in a POST all parameters are
// missing.
func (s *Simulator) checkParams(r *http.Request) (appID string, errCode int) {
	query := r.URL.Query()
	appID = query.Get("appid")
	if r.Method != http.MethodGet {
		return "", 41002
	}
	if errCode := s.checkSecret(appID, query.Get("secret")); errCode != 0 {
		return "", errCode
	}
	switch {
	case query.Get("js_code") == "":
		return "", 41008
	case query.Get("grant_type") != "authorization_code":
		return "", 40002
	}
	return appID, 0
}

func (s *Simulator) checkSecret(appID, secret string) (errCode int) {
	right, known := s.apps[appID]
	switch {
	case appID == "":
		return 41002
	case secret == "":
		return 41004
	case !known:
		return 40013
	case subtle.ConstantTimeCompare([]byte(right), []byte(secret)) != 1:
		return 40125
	}
	return 0
}

// exchange spends a code. It returns the current session_key, not that at the time of wx.login: a user has only one.
func (s *Simulator) exchange(appID, code string) (any, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, known := s.codes[code]
	if !known || c.isPhoneCode || c.account.appID != appID || s.expired(c, s.now()) {
		return nil, 40029
	}
	if c.spent {
		return nil, 40163
	}
	c.spent = true
	s.stats.Exchanged++
	a := s.accounts[c.account]
	return sessionResponse{a.sessionKey, a.openID, s.users[c.account.name].UnionID}, 0
}
