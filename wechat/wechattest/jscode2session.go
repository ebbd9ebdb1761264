package wechattest

import (
	"crypto/subtle"
	"net/http"
)

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
