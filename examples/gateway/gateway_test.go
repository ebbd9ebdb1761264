package gateway_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"wxlogin/wechat/wechattest"
)

var (
	alice = wechattest.User{Name: "alice", OpenID: "oAlice", UnionID: "uAlice"}
	bob   = wechattest.User{Name: "bob", OpenID: "oBob"} // without a unionid
)

// forged is what somebody sends who would like to be somebody else.
func forged() http.Header {
	return http.Header{
		"X-User-Id": {"1", "2"}, "X-Wechat-Openid": {"oForged"}, "X-Wechat-Appid": {"wxforged"}, "X-Wechat-Unionid": {"uForged"},
		"X-Api-Key": {"forged"},
	}
}

// kinds are the gateways of this folder that can be run here.
var kinds = map[string]func(t *testing.T, internal, service, key string) gateway{
	"nginx": startServiceNginx, "caddy": startCaddy, "traefik": startTraefik,
}

// system is a gateway before the service, and wxlogin beside them.
type system struct {
	login
	service *tap
	gateway gateway
}

func startSystem(t *testing.T, start func(t *testing.T, internal, service, key string) gateway) *system {
	t.Helper()
	needs(t, "node")
	l := startLogin(t)
	service := startTap(t, startNode(t, "service/behind-gateway.js"))
	return &system{l, service, start(t, l.InternalAddr(), service.addr, apiKey)}
}

func TestGateway_tells_the_service_whose_request_it_is(t *testing.T) {
	for name, start := range kinds {
		t.Run(name, func(t *testing.T) {
			s := startSystem(t, start)
			for _, user := range []wechattest.User{alice, bob} {
				token := s.token(t, user)
				var got identity
				request{path: "/me", token: token, header: forged()}.to(t, s.gateway.url).wantOK(t, &got)
				if want := s.inMySQL(t, user.OpenID); got != want || got.UnionID != user.UnionID {
					t.Errorf("the service knows %+v, MySQL %+v", got, want)
				}
				header := s.service.last(t).Header
				if header.Get("Authorization") != "" || header.Get("X-Api-Key") == apiKey {
					t.Error("the service got the token or the key")
				}
				if user.UnionID == "" && header["X-Wechat-Unionid"] != nil {
					t.Errorf("the service got X-Wechat-Unionid %q", header["X-Wechat-Unionid"])
				}
			}
		})
	}
}

// alias is how CGI, WSGI and PHP name a header: what differs only in signs is one to them.
func alias(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return unicode.ToUpper(r)
		}
		return '_'
	}, name)
}

// wantTrueHeaders fails unless the service was told the user by these headers, once each, and by no other spelling of them.
func (s *system) wantTrueHeaders(t *testing.T, user wechattest.User) {
	t.Helper()
	header, is := s.service.last(t).Header, s.inMySQL(t, user.OpenID)
	for name, want := range map[string]string{
		"X-User-Id": is.UserID, "X-Wechat-Openid": is.OpenID, "X-Wechat-Appid": is.AppID, "X-Wechat-Unionid": is.UnionID,
	} {
		var got []string
		for sent, values := range header {
			if alias(sent) == alias(name) {
				got = append(got, sent+": "+strings.Join(values, ", "))
			}
		}
		if want == "" && len(got) != 0 || want != "" && !slices.Equal(got, []string{name + ": " + want}) {
			t.Errorf("%s arrives as %q, want %q", name, got, want)
		}
	}
}

func TestGateway_Aliases(t *testing.T) {
	names := []string{"X-User-Id", "X-Wechat-Openid", "X-Wechat-Appid", "X-Wechat-Unionid"}
	for kind, start := range kinds {
		t.Run(kind, func(t *testing.T) {
			s := startSystem(t, start)
			for _, user := range []wechattest.User{alice, bob} {
				token := s.token(t, user)
				for _, sign := range "_.!#$%&'*+^`|~" {
					header := http.Header{}
					for _, name := range names {
						header[strings.ReplaceAll(name, "-", string(sign))] = []string{"1"}
						header[strings.Replace(name, "-", string(sign), 1)] = []string{"2"}
					}
					request{path: "/me", token: token, header: header}.to(t, s.gateway.url).wantOK(t, new(identity))
					s.wantTrueHeaders(t, user)
				}
			}
		})
	}
}

// A client cannot have the gateway take away, as a matter of its connection alone, what wxlogin said.
func TestGateway_ConnectionHeader(t *testing.T) {
	for kind, start := range kinds {
		t.Run(kind, func(t *testing.T) {
			s := startSystem(t, start)
			token := s.token(t, alice)
			for _, values := range [][]string{
				{"X-User-Id, X-Wechat-Openid, X-Wechat-Appid, X-Wechat-Unionid"}, {"keep-alive, x-user-id"},
				{"keep-alive", "X-User-Id", "X-Wechat-Openid"}, {"Upgrade", "X-User-Id"}, {"X-User-Id,Upgrade"},
			} {
				header := forged()
				header["Connection"] = values
				request{path: "/me", token: token, header: header}.to(t, s.gateway.url).wantOK(t, new(identity))
				s.wantTrueHeaders(t, alice)
			}
		})
	}
}

func TestGateway_hands_requests_on_whole(t *testing.T) {
	for name, start := range kinds {
		t.Run(name, func(t *testing.T) {
			s := startSystem(t, start)
			add := request{method: http.MethodPost, path: "/notes?a=b%20c", token: s.token(t, alice), body: `{"text":"茶"}`}
			var got struct{ Notes []string }
			add.to(t, s.gateway.url).wantOK(t, &got)
			add.to(t, s.gateway.url).wantOK(t, &got)
			if len(got.Notes) != 2 || got.Notes[1] != "茶" || s.service.last(t).RequestURI != "/notes?a=b%20c" {
				t.Errorf("%q at %s", got.Notes, s.service.last(t).RequestURI)
			}
			request{path: "/notes", token: s.token(t, bob)}.to(t, s.gateway.url).wantOK(t, &got)
			if len(got.Notes) != 0 {
				t.Error("bob reads alice's notes")
			}
		})
	}
}

// A 401 of the service's own, such as for a wrong SMS code, stays what it is: a gateway that made a challenge for a token of
// it would have clients log in for it.
func TestGateway_hands_a_401_of_the_service_on(t *testing.T) {
	const body = `{"error":"wrong SMS code"}`
	for name, start := range kinds {
		t.Run(name, func(t *testing.T) {
			service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusUnauthorized)
				w.Write([]byte(body))
			}))
			t.Cleanup(service.Close)
			l := startLogin(t)
			g := start(t, l.InternalAddr(), service.Listener.Addr().String(), apiKey)
			a := request{method: http.MethodPost, path: "/sms", token: l.token(t, alice)}.to(t, g.url)
			challenge := a.header.Values("WWW-Authenticate")
			if a.status != http.StatusUnauthorized || string(a.body) != body || len(challenge) > 0 {
				t.Errorf("answered %d, WWW-Authenticate %q: %s", a.status, challenge, a.body)
			}
		})
	}
}

func TestGateway_lets_nobody_through_without_a_valid_token(t *testing.T) {
	for name, start := range kinds {
		t.Run(name, func(t *testing.T) {
			s := startSystem(t, start)
			loggedOut, expired := s.token(t, alice), s.token(t, alice)
			s.logout(t, loggedOut)
			s.Redis.FastForward(t, idleTTL)
			for what, token := range map[string]string{
				"none": "", "malformed": "x", "unknown": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
				"logged_out": loggedOut, "expired": expired,
			} {
				t.Run(what, func(t *testing.T) {
					for _, method := range []string{http.MethodGet, http.MethodPost} {
						request{method: method, path: "/me", token: token, header: forged()}.
							to(t, s.gateway.url).wantProblem(t, 401, "invalid_token", "relogin")
					}
				})
			}
			s.service.wantNothing(t)
		})
	}
}

func TestGateway_lets_no_disabled_user_through(t *testing.T) {
	for name, start := range kinds {
		t.Run(name, func(t *testing.T) {
			s := startSystem(t, start)
			token := s.token(t, alice)
			s.disable(t, alice.OpenID)
			request{path: "/me", token: token}.to(t, s.gateway.url).wantProblem(t, 403, "user_blocked", "none")
			s.service.wantNothing(t)
		})
	}
}

// A gateway with a wrong key is an operator's fault: nobody gets in, and nobody is signed out for it.
func TestGateway_with_a_wrong_key_lets_nobody_through(t *testing.T) {
	for name, start := range kinds {
		t.Run(name, func(t *testing.T) {
			needs(t, "node")
			l := startLogin(t)
			service := startTap(t, startNode(t, "service/behind-gateway.js"))
			g := start(t, l.InternalAddr(), service.addr, "not-the-key-of-wxlogin")
			for _, token := range []string{l.token(t, alice), ""} {
				a := request{path: "/me", token: token, header: http.Header{"X-Api-Key": {apiKey}}}.to(t, g.url)
				if a.status != http.StatusForbidden && a.status != http.StatusServiceUnavailable {
					t.Errorf("answered %d: %s", a.status, a.body)
				}
			}
			service.wantNothing(t)
		})
	}
}

// While wxlogin does not say whose a request is, it goes nowhere.
func TestGateway_without_wxlogin_lets_nobody_through(t *testing.T) {
	for name, start := range kinds {
		t.Run(name, func(t *testing.T) {
			s := startSystem(t, start)
			token := s.token(t, alice)
			s.Stop()
			a := request{path: "/me", token: token, header: forged()}.to(t, s.gateway.url)
			if name == "traefik" { // which has no words of its own
				if a.status != http.StatusInternalServerError {
					t.Errorf("answered %d: %s", a.status, a.body)
				}
			} else {
				a.wantProblem(t, 503, "storage_unavailable", "retry")
			}
			s.service.wantNothing(t)
		})
	}
}

// odd are answers to /verify that wxlogin does not give, or not when it is well.
var odd = map[string]http.HandlerFunc{
	"busy": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("Retry-After", "2")
		w.WriteHeader(http.StatusServiceUnavailable)
		w.Write([]byte(`{"type":"urn:x","title":"x","status":503,"detail":"x","code":"storage_unavailable","action":"retry"}`))
	},
	"internal":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
	"not_found": http.NotFound,
	"elsewhere": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) },
	"cut":       func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	"hangs": func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-time.After(time.Minute):
		}
	},
}

func TestGateway_lets_nobody_through_for_an_odd_answer(t *testing.T) {
	for name, start := range kinds {
		for what, handler := range odd {
			t.Run(name+"/"+what, func(t *testing.T) {
				needs(t, "node")
				verify := httptest.NewServer(handler)
				t.Cleanup(verify.Close)
				service := startTap(t, startNode(t, "service/behind-gateway.js"))
				g := start(t, verify.Listener.Addr().String(), service.addr, apiKey)
				a := request{path: "/me", token: "any", header: forged()}.to(t, g.url)
				if name == "nginx" {
					a.wantProblem(t, 503, "storage_unavailable", "retry")
				} else if a.status == http.StatusUnauthorized || a.status < 300 {
					t.Errorf("answered %d: %s", a.status, a.body)
				}
				service.wantNothing(t)
			})
		}
	}
}

// A service that is told nothing trusts nobody: not a gateway that is configured wrong, nor who comes around it.
func TestService_refuses_what_did_not_come_through_the_gateway(t *testing.T) {
	needs(t, "node")
	service := "http://" + startNode(t, "service/behind-gateway.js")
	for _, header := range []http.Header{nil, {"X-User-Id": {""}}, {"X-User-Id": {"x"}}, {"X-User-Id": {"1", "2"}}} {
		request{path: "/me", header: header}.to(t, service).wantProblem(t, 403, "no_gateway", "none")
	}
	if host, _, _ := net.SplitHostPort(service[len("http://"):]); host != "127.0.0.1" {
		t.Errorf("it listens on %s", host)
	}
}

// A user of the service alone stays logged in as a user of wxlogin does.
func TestGateway_request_begins_the_idle_expiry_anew(t *testing.T) {
	s := startSystem(t, startServiceNginx)
	token := s.token(t, alice)
	s.Redis.FastForward(t, idleTTL/2)
	if left := s.timeLeft(t); left > idleTTL/2 {
		t.Fatalf("%v left", left)
	}
	request{path: "/me", token: token}.to(t, s.gateway.url).wantOK(t, new(identity))
	if left := s.timeLeft(t); left < idleTTL-time.Minute {
		t.Errorf("%v left", left)
	}
}
