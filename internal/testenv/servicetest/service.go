// Package servicetest checks services that ask the login server whose token a request has. cases.json says what they must
// answer; the client of package client and the service of examples/gateway pass the same list.
package servicetest

import (
	_ "embed"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"wxlogin/internal/config"
	"wxlogin/internal/testenv"
	"wxlogin/internal/testenv/servertest"
	"wxlogin/wechat/wechattest"
)

//go:embed cases.json
var cases []byte

// request is a case: what a mini-program sends, and what the service must answer.
type request struct {
	Name          string
	Server        string // what is wrong with the login server; "" if it is well
	Authorization string // the header, with {name} for a token

	Status       int
	Code, Action string // of the problem
	Challenge    string // WWW-Authenticate
	RetryAfter   string
	User         string // who the service must see
}

// Start starts a service that asks the login server at internalURL with a key, and returns the service's URL. GET /me of the
// service answers the Identity that it sees.
type Start func(t *testing.T, internalURL, key string) (serviceURL string)

// Identity is what a service learns of a user.
type Identity struct {
	UserID  string `json:"userId"`
	OpenID  string `json:"openid"`
	AppID   string `json:"appid"`
	UnionID string `json:"unionid"`
}

var users = map[string]wechattest.User{
	"alice": {Name: "alice", OpenID: "oAlice", UnionID: "uAlice"},
	"bob":   {Name: "bob", OpenID: "oBob"},
	"carol": {Name: "carol", OpenID: "oCarol"},
}

// Run runs all cases against services that start starts, one for each state of the login server.
func Run(t *testing.T, start Start) {
	var list []request
	if err := json.Unmarshal(cases, &list); err != nil {
		t.Fatal(err)
	}
	s := startSystem(t)
	services := make(map[string]string)
	for _, r := range list {
		if services[r.Server] == "" {
			services[r.Server] = s.startService(t, r.Server, start)
		}
		t.Run(r.Name, func(t *testing.T) { s.check(t, services[r.Server], r) })
	}
}

// system is a login server whose Redis can be taken away, with sessions of each kind.
type system struct {
	*servertest.Server
	redis  *forwarder
	tokens *strings.Replacer
}

func startSystem(t *testing.T) *system {
	t.Helper()
	s := &system{}
	s.Server = servertest.Start(t, func(c *config.Config) {
		address, err := url.Parse(c.RedisURL)
		if err != nil {
			t.Fatal(err)
		}
		s.redis = startForwarder(t, address.Host)
		address.Host = s.redis.addr
		c.RedisURL = address.String()
	})
	expired := s.Login(t, users["alice"])
	s.Redis.FastForward(t, servertest.IdleTTL)
	loggedOut, disabled := s.Login(t, users["alice"]), s.Login(t, users["carol"])
	s.Logout(t, loggedOut)
	s.tokens = strings.NewReplacer("{expired}", expired, "{loggedOut}", loggedOut, "{disabled}", disabled,
		"{alice}", s.Login(t, users["alice"]), "{bob}", s.Login(t, users["bob"]), "{unknown}", strings.Repeat("A", 43))
	s.Exec(t, "UPDATE users SET status = 2 WHERE id = ?", s.identity(t, "carol").UserID)
	return s
}

// startService starts a service for a state of the login server, and brings that state about.
func (s *system) startService(t *testing.T, state string, start Start) (serviceURL string) {
	t.Helper()
	switch state {
	case "":
		return start(t, s.Internal(), servertest.APIKey)
	case "wrongKey":
		return start(t, s.Internal(), "not-the-key-of-wxlogin")
	case "slow":
		return start(t, startHanging(t), servertest.APIKey)
	case "down":
		return start(t, "http://"+testenv.FreeAddr(t), servertest.APIKey)
	case "redisAway":
		s.redis.cut()
		return start(t, s.Internal(), servertest.APIKey)
	}
	t.Fatalf("a state of the server that is not known: %s", state)
	return ""
}

// startHanging returns the URL of a server that takes requests and does not answer.
func startHanging(t *testing.T) string {
	t.Helper()
	ended := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-ended }))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(ended) })
	return server.URL
}

// response is what a service answers: an Identity or a problem.
type response struct {
	Identity
	Type, Title, Detail, Code, Action, RequestID string
	Status                                       int
}

// check sends the request of a case, and checks the response.
func (s *system) check(t *testing.T, service string, want request) {
	t.Helper()
	resp, got := s.send(t, service, want.Authorization)
	if resp.StatusCode != want.Status || got.Code != want.Code || got.Action != want.Action {
		t.Fatalf("status %d %s %s, want %d %s %s", resp.StatusCode, got.Code, got.Action, want.Status, want.Code, want.Action)
	}
	for name, value := range map[string]string{
		"WWW-Authenticate": want.Challenge, "Retry-After": want.RetryAfter, "Cache-Control": "no-store",
	} {
		if all := strings.Join(resp.Header.Values(name), ", "); all != value {
			t.Errorf("%s: %q, want %q", name, all, value)
		}
	}
	var seen Identity
	if want.User != "" {
		seen = s.identity(t, want.User)
	}
	if got.Identity != seen {
		t.Errorf("the service sees %+v, MySQL has %+v", got.Identity, seen)
	}
	isProblem := strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json")
	if want.Code != "" && (!isProblem || got.Status != want.Status || got.Type == "" || got.Title == "" || got.Detail == "" ||
		got.RequestID != requestID) {
		t.Errorf("the problem is not complete: %+v", got)
	}
}

// requestID is the X-Request-Id of every request.
const requestID = "from-the-client"

// send sends a request whose sender wants to be another user.
func (s *system) send(t *testing.T, service, authorization string) (resp *http.Response, body response) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, service+"/me", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"X-User-Id": {"1"}, "X-Wechat-Openid": {"oForged"}, "X-Request-Id": {requestID}}
	if authorization != "" {
		req.Header.Set("Authorization", s.tokens.Replace(authorization))
	}
	if resp, err = http.DefaultClient.Do(req); err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		t.Fatalf("status %d, %v", resp.StatusCode, err)
	}
	return resp, body
}

// identity returns what the database has of a user.
func (s *system) identity(t *testing.T, user string) Identity {
	t.Helper()
	id := Identity{AppID: servertest.AppID, OpenID: users[user].OpenID}
	s.QueryRow(t, `SELECT u.id, COALESCE(u.unionid, '') FROM wechat_identities i JOIN users u ON u.id = i.user_id
		WHERE i.openid = ?`, []any{id.OpenID}, &id.UserID, &id.UnionID)
	return id
}
