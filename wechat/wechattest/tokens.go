package wechattest

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

const (
	tokenTTL         = 2 * time.Hour
	tokenOverlap     = 5 * time.Minute // how long the old token stays valid next to the new one
	minForceInterval = 30 * time.Second
	maxForcesPerDay  = 20
	accessTokenLen   = 68 // bytes, in hex; WeChat's tokens have some 136 characters
)

// appTokens are the access_tokens of one mini-program.
type appTokens struct {
	current  accessToken
	previous accessToken // valid for up to tokenOverlap after its replacement
	forced   []time.Time // forced refreshes of the last day
}

type accessToken struct {
	value   string
	expires time.Time
}

func (t accessToken) remaining(now time.Time) time.Duration { return max(0, t.expires.Sub(now)) }

type tokenResponse struct {
	AccessToken string `json:"access_token"`
	ExpiresIn   int    `json:"expires_in"`
}

// stableToken is POST /cgi-bin/stable_token.
func (s *Simulator) stableToken(r *http.Request, body []byte) (any, int) {
	var call struct {
		GrantType    string `json:"grant_type"`
		AppID        string `json:"appid"`
		Secret       string `json:"secret"`
		ForceRefresh bool   `json:"force_refresh"`
	}
	if errCode := readJSON(r, body, &call); errCode != 0 {
		return nil, errCode
	}
	if call.GrantType != "client_credential" {
		return nil, 40002
	}
	if errCode := s.checkSecret(call.AppID, call.Secret); errCode != 0 {
		return nil, errCode
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now, t := s.now(), s.tokens[call.AppID]
	if call.ForceRefresh {
		if errCode := s.forceRefreshLocked(t, now); errCode != 0 {
			return nil, errCode
		}
	} else if t.current.remaining(now) <= tokenOverlap {
		s.renewLocked(t, now)
	}
	return tokenResponse{t.current.value, int(t.current.remaining(now).Seconds())}, 0
}

// readJSON decodes the body of a POST. WeChat's business APIs accept nothing else.
func readJSON(r *http.Request, body []byte, into any) (errCode int) {
	if r.Method != http.MethodPost {
		return 43002
	}
	if json.Unmarshal(body, into) != nil {
		return 47001
	}
	return 0
}

// renewLocked replaces the current token. The old one stays valid until its end, which is at most tokenOverlap away.
func (s *Simulator) renewLocked(t *appTokens, now time.Time) {
	t.previous = t.current
	t.current = accessToken{hex.EncodeToString(randomBytes(accessTokenLen)), now.Add(tokenTTL)}
	s.stats.TokensMade++
}

// forceRefreshLocked is force_refresh. It replaces the current token at once and revokes it. Within minForceInterval of
// the last refresh it does nothing.
func (s *Simulator) forceRefreshLocked(t *appTokens, now time.Time) (errCode int) {
	for len(t.forced) > 0 && now.Sub(t.forced[0]) >= 24*time.Hour {
		t.forced = t.forced[1:]
	}
	if n := len(t.forced); n > 0 && now.Sub(t.forced[n-1]) < minForceInterval && t.current.remaining(now) > 0 {
		return 0
	}
	if len(t.forced) >= maxForcesPerDay {
		return 45009
	}
	t.forced = append(t.forced, now)
	s.renewLocked(t, now)
	t.previous.expires = now
	return 0
}

// checkToken returns the appid of an access_token.
func (s *Simulator) checkToken(value string) (appID string, errCode int) {
	if value == "" {
		return "", 41001
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for appID, tokens := range s.tokens {
		for _, t := range []accessToken{tokens.current, tokens.previous} {
			switch {
			case t.value != value:
			case t.remaining(now) > 0:
				return appID, 0
			default:
				return "", 42001
			}
		}
	}
	return "", 40001
}

// ExpireAccessTokens expires all access_tokens at once. stable_token then returns new ones.
func (s *Simulator) ExpireAccessTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tokens {
		t.current.expires, t.previous.expires = s.now(), s.now()
	}
}

// AccessTokens returns the access_tokens of a mini-program, valid or not, newest first, for tests that search for
// leaks. appID "" means the first of the appids, as for Device.
func (s *Simulator) AccessTokens(appID string) []string {
	if appID == "" {
		appID = s.defaultApp
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var values []string
	if t := s.tokens[appID]; t != nil {
		values = []string{t.current.value, t.previous.value}
	}
	return slices.DeleteFunc(values, func(value string) bool { return value == "" })
}

type phoneResponse struct {
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
	user, errCode := s.spendPhoneCode(appID, call.Code, call.OpenID)
	if errCode != 0 {
		return nil, errCode
	}
	return phoneResponse{ErrMsg: "ok", PhoneInfo: s.phoneInfo(user, appID)}, 0
}

// spendPhoneCode spends a code of the phone button. The code must belong to the mini-program of the access_token and,
// if there is an openid, to that user.
func (s *Simulator) spendPhoneCode(appID, code, openID string) (user User, errCode int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, known := s.codes[code]
	if !known || !c.isPhoneCode || c.spent || s.expired(c, s.now()) {
		return User{}, 40029
	}
	if c.account.appID != appID {
		return User{}, 40013
	}
	if openID != "" && openID != s.accounts[c.account].openID {
		return User{}, 40029
	}
	c.spent = true
	return s.users[c.account.name], 0
}
