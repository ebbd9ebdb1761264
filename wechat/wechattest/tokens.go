package wechattest

import (
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"
)

const (
	tokenTTL       = 2 * time.Hour
	tokenOverlap   = 5 * time.Minute // the old token and the new one are both valid
	minForcePause  = 30 * time.Second
	maxForcesADay  = 20
	accessTokenLen = 68 // bytes, in hex; WeChat's tokens have some 136 characters
)

// appTokens are the access_tokens of one mini-program.
type appTokens struct {
	current accessToken
	last    accessToken // the one before, valid for tokenOverlap after its replacement
	forced  []time.Time // forced refreshes of the last day
}

type accessToken struct {
	value   string
	expires time.Time
}

func (t accessToken) left(now time.Time) time.Duration { return max(0, t.expires.Sub(now)) }

type tokenRequest struct {
	GrantType    string `json:"grant_type"`
	AppID        string `json:"appid"`
	Secret       string `json:"secret"`
	ForceRefresh bool   `json:"force_refresh"`
}

type tokenAnswer struct {
	AccessToken string `json:"access_token"`
	ExpiresIn   int    `json:"expires_in"`
}

// stableToken is POST /cgi-bin/stable_token.
func (s *Simulator) stableToken(r *http.Request, body []byte) (any, int) {
	var call tokenRequest
	if errCode := readJSON(r, body, &call); errCode != 0 {
		return nil, errCode
	}
	secret, known := s.apps[call.AppID]
	switch {
	case call.GrantType != "client_credential":
		return nil, 40002
	case call.AppID == "":
		return nil, 41002
	case call.Secret == "":
		return nil, 41004
	case !known:
		return nil, 40013
	case subtle.ConstantTimeCompare([]byte(secret), []byte(call.Secret)) != 1:
		return nil, 40125
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now, t := s.now(), s.tokensLocked(call.AppID)
	if call.ForceRefresh {
		if errCode := s.forceLocked(t, now); errCode != 0 {
			return nil, errCode
		}
	} else if t.current.left(now) <= tokenOverlap {
		s.renewLocked(t, now)
	}
	return tokenAnswer{t.current.value, int(t.current.left(now).Seconds())}, 0
}

// readJSON reads the body of a POST. WeChat's business APIs take nothing else.
func readJSON(r *http.Request, body []byte, into any) (errCode int) {
	if r.Method != http.MethodPost {
		return 43002
	}
	if json.Unmarshal(body, into) != nil {
		return 47001
	}
	return 0
}

func (s *Simulator) tokensLocked(appID string) *appTokens {
	t := s.tokens[appID]
	if t == nil {
		t = &appTokens{}
		s.tokens[appID] = t
	}
	return t
}

// renewLocked replaces the current token, which stays valid for what it has left, but no longer than tokenOverlap.
func (s *Simulator) renewLocked(t *appTokens, now time.Time) {
	t.last = t.current
	t.current = accessToken{hex.EncodeToString(randomBytes(accessTokenLen)), now.Add(tokenTTL)}
	s.stats.TokensMade++
}

// forceLocked is force_refresh: it ends the current token at once. Too soon after the last time it does nothing.
func (s *Simulator) forceLocked(t *appTokens, now time.Time) (errCode int) {
	for len(t.forced) > 0 && now.Sub(t.forced[0]) >= 24*time.Hour {
		t.forced = t.forced[1:]
	}
	if n := len(t.forced); n > 0 && now.Sub(t.forced[n-1]) < minForcePause && t.current.left(now) > 0 {
		return 0
	}
	if len(t.forced) >= maxForcesADay {
		return 45009
	}
	t.forced = append(t.forced, now)
	s.renewLocked(t, now)
	t.last.expires = now
	return 0
}

// checkToken finds the mini-program that an access_token was given to.
func (s *Simulator) checkToken(value string) (appID string, errCode int) {
	if value == "" {
		return "", 41001
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for appID, tokens := range s.tokens {
		for _, t := range []accessToken{tokens.current, tokens.last} {
			if t.value == value && t.left(now) > 0 {
				return appID, 0
			}
			if t.value == value {
				return "", 42001
			}
		}
	}
	return "", 40001
}

// ExpireAccessTokens ends the life of all access_tokens at once. stable_token gives new ones from then on.
func (s *Simulator) ExpireAccessTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tokens {
		t.current.expires, t.last.expires = s.now(), s.now()
	}
}

// AccessTokens returns the access_tokens of a mini-program, valid or not, for tests that search for leaks: the newest
// first, and none where none was asked for. "" is the first of the appids, as for Phone.
func (s *Simulator) AccessTokens(appID string) []string {
	if appID == "" {
		appID = s.defaultApp
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var values []string
	if t := s.tokens[appID]; t != nil {
		for _, token := range []accessToken{t.current, t.last} {
			if token.value != "" {
				values = append(values, token.value)
			}
		}
	}
	return values
}

type phoneAnswer struct {
	ErrCode   int       `json:"errcode"`
	ErrMsg    string    `json:"errmsg"`
	PhoneInfo phoneInfo `json:"phone_info"`
}

// getUserPhoneNumber is POST /wxa/business/getuserphonenumber.
func (s *Simulator) getUserPhoneNumber(r *http.Request, body []byte) (any, int) {
	appID, errCode := s.checkToken(r.URL.Query().Get("access_token"))
	if errCode != 0 {
		return nil, errCode
	}
	var call struct {
		Code   string `json:"code"`
		OpenID string `json:"openid"`
	}
	if errCode := readJSON(r, body, &call); errCode != 0 {
		return nil, errCode
	}
	person, errCode := s.spendPhoneCode(appID, call.Code, call.OpenID)
	if errCode != 0 {
		return nil, errCode
	}
	return phoneAnswer{ErrMsg: "ok", PhoneInfo: s.phoneInfo(person, appID)}, 0
}

// spendPhoneCode spends a code of the phone button. It must be of the mini-program that the access_token is of, and of the user
// who pressed the button, if an openid is given.
func (s *Simulator) spendPhoneCode(appID, code, openID string) (person User, errCode int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, known := s.codes[code]
	if !known || !c.forPhone || c.spent || s.expired(c, s.now()) {
		return User{}, 40029
	}
	if c.account.appID != appID {
		return User{}, 40013
	}
	if openID != "" && openID != s.accounts[c.account].openID {
		return User{}, 40029
	}
	c.spent = true
	return s.people[c.account.name], 0
}
