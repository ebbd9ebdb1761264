package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"

	"wxlogin/internal/testenv"
	"wxlogin/wechat/wechattest"
)

var (
	alice = wechattest.User{Name: "alice", OpenID: "oAlice", UnionID: "uAlice"}
	bob   = wechattest.User{Name: "bob", OpenID: "oBob"} // without a unionid
)

// forged returns headers of a client that wants to be another user.
func forged() http.Header {
	return http.Header{
		"X-User-Id": {"1", "2"}, "X-Wechat-Openid": {"oForged"}, "X-Wechat-Appid": {"wxforged"}, "X-Wechat-Unionid": {"uForged"},
		"X-Api-Key": {"forged"},
	}
}

// system is nginx in front of the service, and wxlogin beside them.
type system struct {
	login
	service *tap
	gateway gateway
}

func startSystem(t *testing.T) *system {
	t.Helper()
	needs(t, "node", "nginx")
	l := startLogin(t)
	service := startTap(t, startBehindGateway(t))
	return &system{l, service, startVerifying(t, l.InternalAddr(), service.addr, apiKey)}
}

// alias returns a header's name as CGI, WSGI and PHP have it: names that differ in signs only are the same to them.
func alias(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToUpper(r)
		}
		return '_'
	}, name)
}

// wantTrueHeaders sends a request, and checks that the service learned the user by these headers, once each, and got no other
// spelling of them.
func (s *system) wantTrueHeaders(t *testing.T, user wechattest.User, token string, header http.Header) {
	t.Helper()
	var got identity
	request{path: "/me", token: token, header: header}.to(t, s.gateway.url).wantOK(t, &got)
	want := s.inMySQL(t, user)
	if got != want || got.UnionID != user.UnionID {
		t.Errorf("the service knows %+v, MySQL %+v", got, want)
	}
	seen := s.service.last(t).Header
	for name, want := range map[string]string{
		"X-User-Id": want.UserID, "X-Wechat-Openid": want.OpenID, "X-Wechat-Appid": want.AppID, "X-Wechat-Unionid": want.UnionID,
	} {
		var got []string
		for sent, values := range seen {
			if alias(sent) == alias(name) {
				got = append(got, sent+": "+strings.Join(values, ", "))
			}
		}
		if want == "" && len(got) != 0 || want != "" && !slices.Equal(got, []string{name + ": " + want}) {
			t.Errorf("%s arrives as %q, want %q", name, got, want)
		}
	}
	if seen.Get("Authorization") != "" || seen.Get("X-Api-Key") == apiKey {
		t.Error("the service got the token or the key")
	}
}

func TestGateway_Headers(t *testing.T) {
	s := startSystem(t)
	tokens := map[string]string{alice.Name: s.Login(t, alice), bob.Name: s.Login(t, bob)}
	for _, user := range []wechattest.User{alice, bob} {
		token := tokens[user.Name]
		t.Run("forged headers are replaced, "+user.Name, func(t *testing.T) { s.wantTrueHeaders(t, user, token, forged()) })
		t.Run("other spellings are dropped, "+user.Name, func(t *testing.T) {
			for _, sign := range "_.!#$%&'*+^`|~" {
				header := http.Header{}
				for name := range forged() {
					header[strings.ReplaceAll(name, "-", string(sign))] = []string{"1"}
					header[strings.Replace(name, "-", string(sign), 1)] = []string{"2"}
				}
				s.wantTrueHeaders(t, user, token, header)
			}
		})
	}
	t.Run("a client's Connection header removes nothing", func(t *testing.T) {
		for _, values := range [][]string{
			{"X-User-Id, X-Wechat-Openid, X-Wechat-Appid, X-Wechat-Unionid"}, {"keep-alive, x-user-id"},
			{"keep-alive", "X-User-Id", "X-Wechat-Openid"}, {"Upgrade", "X-User-Id"}, {"X-User-Id,Upgrade"},
		} {
			header := forged()
			header["Connection"] = values
			s.wantTrueHeaders(t, alice, tokens[alice.Name], header)
		}
	})
	t.Run("the request ID is one that wxlogin accepts", func(t *testing.T) {
		wellFormed := regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)
		for _, sent := range []string{"from-the.client_1", "", `"},"x`, strings.Repeat("x", 65)} {
			header := http.Header{"X-Request-Id": {sent}}
			request{path: "/me", token: tokens[alice.Name], header: header}.to(t, s.gateway.url)
			got := s.service.last(t).Header.Get("X-Request-Id")
			if !wellFormed.MatchString(got) || wellFormed.MatchString(sent) && got != sent {
				t.Errorf("%q becomes %q", sent, got)
			}
			a := request{path: "/me", header: header}.to(t, s.gateway.url)
			a.wantProblem(t, 401, "invalid_token", "relogin")
			id := a.header.Get("X-Request-Id")
			if !wellFormed.MatchString(id) || !strings.Contains(string(a.body), `"requestId":"`+id+`"`) {
				t.Errorf("the header says %q, and the body: %s", id, a.body)
			}
		}
	})
	t.Run("method, path and body pass", func(t *testing.T) {
		add := request{method: http.MethodPost, path: "/notes?a=b%20c", token: tokens[alice.Name], body: `{"text":"茶"}`}
		var got struct{ Notes []string }
		add.to(t, s.gateway.url).wantOK(t, &got)
		add.to(t, s.gateway.url).wantOK(t, &got)
		if len(got.Notes) != 2 || got.Notes[1] != "茶" || s.service.last(t).RequestURI != "/notes?a=b%20c" {
			t.Errorf("%q at %s", got.Notes, s.service.last(t).RequestURI)
		}
		request{path: "/notes", token: tokens[bob.Name]}.to(t, s.gateway.url).wantOK(t, &got)
		if len(got.Notes) != 0 {
			t.Error("bob reads alice's notes")
		}
	})
}

func TestGateway_Refusals(t *testing.T) {
	s := startSystem(t)
	refused := func(t *testing.T, r request, status int, code, action string) {
		t.Helper()
		s.service.wantNothing(t, func() { r.to(t, s.gateway.url).wantProblem(t, status, code, action) })
	}
	token, loggedOut, expired := s.Login(t, bob), s.Login(t, alice), s.Login(t, alice)
	t.Run("own refusals are problems", func(t *testing.T) {
		s.service.wantNothing(t, func() { wantOwnProblems(t, s.gateway.url, 1<<20+1) })
		for _, path := range []string{"/_verify", "/problem"} {
			refused(t, request{path: path, token: token}, 404, "not_found", "none")
		}
	})
	t.Run("a request renews the idle expiry", func(t *testing.T) { s.wantRenewed(t, s.gateway.url) })
	s.Logout(t, loggedOut)
	s.Redis.FastForward(t, idleTTL)
	for what, token := range map[string]string{
		"none": "", "malformed": "x", "unknown": strings.Repeat("A", 43), "logged out": loggedOut, "expired": expired,
	} {
		t.Run("an invalid token is refused, "+what, func(t *testing.T) {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				refused(t, request{method: method, path: "/me", token: token, header: forged()}, 401, "invalid_token", "relogin")
			}
		})
	}
	t.Run("a disabled user is blocked", func(t *testing.T) {
		disabled := s.Login(t, alice)
		s.disable(t, alice)
		refused(t, request{path: "/me", token: disabled}, 403, "user_blocked", "none")
	})
	t.Run("a wrong key lets no request through", func(t *testing.T) { // and no client signs out because of it
		g := startVerifying(t, s.InternalAddr(), s.service.addr, "not-the-key-of-wxlogin")
		for _, token := range []string{s.Login(t, bob), ""} {
			s.service.wantNothing(t, func() {
				a := request{path: "/me", token: token, header: http.Header{"X-Api-Key": {apiKey}}}.to(t, g.url)
				if a.status != http.StatusForbidden && a.status != http.StatusServiceUnavailable {
					t.Errorf("status %d: %s", a.status, a.body)
				}
			})
		}
	})
	t.Run("without wxlogin no request passes", func(t *testing.T) {
		token := s.Login(t, bob)
		s.Stop()
		refused(t, request{path: "/me", token: token, header: forged()}, 503, "storage_unavailable", "retry")
	})
}

// busy responds like a wxlogin without Redis.
func busy(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Retry-After", "2")
	w.WriteHeader(http.StatusServiceUnavailable)
	w.Write([]byte(`{"type":"urn:x","title":"x","status":503,"detail":"x","code":"storage_unavailable","action":"retry"}`))
}

// gone takes a request and closes the connection.
func gone(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// Responses to /verify that wxlogin does not send, or only if it is not well, let no request through.
func TestGateway_UnusableVerify(t *testing.T) {
	var handler atomic.Pointer[http.HandlerFunc]
	verify := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*handler.Load())(w, r) }))
	t.Cleanup(verify.Close)
	service := startTap(t, startBehindGateway(t))
	g := startVerifying(t, verify.Listener.Addr().String(), service.addr, apiKey)
	for what, h := range map[string]http.HandlerFunc{
		"busy":      busy,
		"internal":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"not found": http.NotFound,
		"redirect":  func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) },
		"cut":       gone,
		"hangs":     func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	} {
		t.Run(what, func(t *testing.T) {
			handler.Store(&h)
			service.wantNothing(t, func() {
				request{path: "/me", token: "any", header: forged()}.to(t, g.url).wantProblem(t, 503, "storage_unavailable", "retry")
			})
		})
	}
}

// wxlogin gets a request's token and id, on connections that stay open. A body would be taken for a malformed request and end
// them. nginx sends none with auth_request anyway, so the question is also asked directly, at /_verify.
func TestGateway_AsksWithTheTokenAlone(t *testing.T) {
	l := startLogin(t)
	wxlogin := startTap(t, l.InternalAddr())
	change := strings.NewReplacer("127.0.0.1:9090", wxlogin.addr, "127.0.0.1:3000", startBehindGateway(t),
		"location = /_verify {\n            internal;", "location = /_verify {")
	g := startNginx(t, "nginx.conf", apiKey, change.Replace)
	token := l.Login(t, alice)
	const asked = 40
	for path, method := range map[string]string{"/notes?a=b": http.MethodPost, "/_verify": http.MethodHead} {
		before, _ := wxlogin.sums()
		for range asked {
			a := request{
				method: method, path: path, token: token, body: `{"text":"x"}`,
				header: http.Header{"Cookie": {"a=b"}, "X-User-Id": {"1"}, "X-Request-Id": {"from-the-client"}},
			}.to(t, g.url)
			if a.status != http.StatusOK {
				t.Fatalf("%s: status %d: %s", path, a.status, a.body)
			}
		}
		if conns, body := wxlogin.sums(); conns-before > asked/4 || body != 0 {
			t.Errorf("%s: %d questions took %d connections and %d bytes of bodies", path, asked, conns-before, body)
		}
		want := http.Header{"Authorization": {"Bearer " + token}, "X-Api-Key": {apiKey}, "X-Request-Id": {"from-the-client"}}
		if r := wxlogin.last(t); r.RequestURI != "/verify" || fmt.Sprint(r.Header) != fmt.Sprint(want) {
			t.Errorf("%s: %s with other headers than those three", path, r.RequestURI)
		}
	}
}

func TestGateway_ServiceFails(t *testing.T) {
	l := startLogin(t)
	token := l.Login(t, alice)
	t.Run("a service that is away is not wxlogin's outage", func(t *testing.T) { // it may have done what it was asked to do
		crashes := httptest.NewServer(http.HandlerFunc(gone))
		t.Cleanup(crashes.Close)
		for _, service := range []string{testenv.FreeAddr(t), crashes.Listener.Addr().String()} {
			g := startVerifying(t, l.InternalAddr(), service, apiKey)
			request{path: "/me", token: token}.to(t, g.url).wantProblem(t, 502, "service_unavailable", "none")
		}
	})
	t.Run("a 401 of the service passes without a challenge", func(t *testing.T) { // or clients would log in because of it
		const body = `{"error":"wrong SMS code"}`
		service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusUnauthorized)
			w.Write([]byte(body))
		}))
		t.Cleanup(service.Close)
		g := startVerifying(t, l.InternalAddr(), service.Listener.Addr().String(), apiKey)
		a := request{method: http.MethodPost, path: "/sms", token: token}.to(t, g.url)
		challenge := a.header.Values("WWW-Authenticate")
		if a.status != http.StatusUnauthorized || string(a.body) != body || len(challenge) > 0 {
			t.Errorf("status %d, WWW-Authenticate %q: %s", a.status, challenge, a.body)
		}
	})
}

// raw sends bytes unchanged.
func raw(t *testing.T, base, text string) answer {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(startTimeout))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	return readAnswer(t, res)
}

// wantOwnProblems checks what nginx itself refuses, before it asks a server.
func wantOwnProblems(t *testing.T, base string, tooLarge int) {
	t.Helper()
	const host = "Host: x\r\nConnection: close\r\n"
	for _, c := range []struct {
		text, code string
		status     int
	}{
		{"GET / HTTP/1.1\r\n" + host + "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n", "invalid_request", 400},
		{"GET / HTTP/1.1\r\n\r\n", "invalid_request", 400}, // without a host
		{"GET /" + strings.Repeat("x", 40<<10) + " HTTP/1.1\r\n" + host + "\r\n", "invalid_request", 400},
		{"GET / HTTP/1.1\r\n" + host + "A: " + strings.Repeat("x", 40<<10) + "\r\n\r\n", "invalid_request", 400},
		{"TRACE / HTTP/1.1\r\n" + host + "\r\n", "method_not_allowed", 405},
		{"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip\r\n\r\n", "invalid_request", 400},
		{"\x16\x03\x01\r\n\r\n", "invalid_request", 400},
		{fmt.Sprintf("POST /notes HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n", host, tooLarge), "request_too_large", 413},
	} {
		raw(t, base, c.text).wantProblem(t, c.status, c.code, "none")
	}
}

func TestGateway_LogHasNoSecret(t *testing.T) {
	s := startSystem(t)
	token := s.Login(t, alice)
	request{path: "/me?q=hidden", token: token}.to(t, s.gateway.url)
	s.Logout(t, token)
	request{path: "/me?q=hidden", token: token}.to(t, s.gateway.url)
	s.gateway.stop(t)
	log := s.gateway.log.String()
	if strings.Contains(log, token) || strings.Contains(log, apiKey) || strings.Contains(log, "hidden") {
		t.Error("the log has the token, the key or the query")
	}
	for _, want := range []string{`"path":"/me","status":200`, `"path":"/me","status":401`, `"userId":"` + s.inMySQL(t, alice).UserID + `"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the log has no %s", want)
		}
	}
}

// With its cache nginx asks less often, and notices a logout later, as the comment in verify.conf says.
func TestGateway_Cache(t *testing.T) {
	l := startLogin(t)
	wxlogin := startTap(t, l.InternalAddr())
	addresses := strings.NewReplacer("127.0.0.1:9090", wxlogin.addr, "127.0.0.1:3000", startBehindGateway(t), "#cache ", "")
	g := startNginx(t, "nginx.conf", apiKey, addresses.Replace)
	token, other := l.Login(t, alice), l.Login(t, bob)
	want := func(user wechattest.User, token string, questions int) {
		t.Helper()
		var got identity
		request{path: "/me", token: token, header: forged()}.to(t, g.url).wantOK(t, &got)
		if want := l.inMySQL(t, user); got != want {
			t.Errorf("the service knows %+v, MySQL %+v", got, want)
		}
		if n := len(wxlogin.requests()); n != questions {
			t.Errorf("%d questions, want %d", n, questions)
		}
	}
	for range 3 {
		want(alice, token, 1)
	}
	want(bob, other, 2)
	l.Logout(t, token)
	want(alice, token, 2)
	for range 2 { // a refusal is not cached
		request{path: "/me", token: "unknown"}.to(t, g.url).wantProblem(t, 401, "invalid_token", "relogin")
		request{path: "/me"}.to(t, g.url).wantProblem(t, 401, "invalid_token", "relogin")
	}
	if n := len(wxlogin.requests()); n != 6 {
		t.Errorf("%d questions", n)
	}
}

// Caddy judges its configuration itself. Traefik and Envoy are not in Debian: their files are only read as YAML.
func TestGateway_OtherConfigurations(t *testing.T) {
	t.Run("Caddy", func(t *testing.T) {
		needs(t, "caddy")
		if out, err := exec.Command("caddy", "validate", "--adapter", "caddyfile", "--config", "caddy/Caddyfile").CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	for _, file := range []string{"traefik/dynamic.yml", "envoy/envoy.yaml"} {
		t.Run(file, func(t *testing.T) {
			var content map[string]any
			if err := yaml.Unmarshal([]byte(readFile(t, file)), &content); err != nil || len(content) == 0 {
				t.Errorf("%d keys, %v", len(content), err)
			}
		})
	}
}
