package wechattest

import (
	"bytes"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
)

// errMsgs are WeChat's words for its errcodes.
var errMsgs = map[int]string{
	-1:    "system error",
	40002: "invalid grant_type",
	40013: "invalid appid",
	40029: "invalid code",
	40125: "invalid appsecret",
	40163: "code been used",
	40164: "invalid ip 192.0.2.1 ipv6 ::ffff:192.0.2.1, not in whitelist",
	40226: "code blocked",
	40243: "AppSecret frozen",
	41002: "appid missing",
	41004: "appsecret missing",
	41008: "missing code",
	45011: "api minute-quota reach limit  mustslower  retry next minute",
	48001: "api unauthorized",
}

type sessionAnswer struct {
	SessionKey string `json:"session_key"`
	OpenID     string `json:"openid"`
	UnionID    string `json:"unionid,omitempty"`
}

// jscode2session is GET /sns/jscode2session: faults first, since those of a network do not wait for a valid request.
func (s *Simulator) jscode2session(w http.ResponseWriter, r *http.Request) {
	fault := s.arrived()
	if !wait(r, s.latency+fault.delay()) {
		return // the caller is gone
	}
	if s.misbehave(w, r, fault) {
		return
	}
	appID, errCode := s.checkCall(r)
	if errCode != 0 {
		s.refuse(w, errCode)
		return
	}
	answer, errCode := s.exchange(appID, r.URL.Query().Get("js_code"))
	if errCode != 0 {
		s.refuse(w, errCode)
		return
	}
	s.send(w, answer)
}

// arrived counts a call and takes the next fault, "" where there is none.
func (s *Simulator) arrived() Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Calls++
	if len(s.faults) == 0 {
		return ""
	}
	next := s.faults[0]
	s.faults = s.faults[1:]
	return next
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
func (s *Simulator) exchange(appID, code string) (sessionAnswer, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, known := s.codes[code]
	if !known || c.account.appID != appID || s.expired(c, s.now()) {
		return sessionAnswer{}, 40029
	}
	if c.spent {
		return sessionAnswer{}, 40163
	}
	c.spent = true
	s.stats.Exchanged++
	a := s.accounts[c.account]
	return sessionAnswer{a.sessionKey, a.openID, s.people[c.account.name].UnionID}, 0
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
