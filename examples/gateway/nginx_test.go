package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"
	"wxlogin/internal/testenv"
)

// What wxlogin is shown of a request is the token and the id, on connections that stay.
func TestNginx_asks_wxlogin_with_the_token_alone(t *testing.T) {
	needs(t, "node")
	l := startLogin(t)
	wxlogin := startTap(t, l.InternalAddr())
	g := startServiceNginx(t, wxlogin.addr, startNode(t, "service/behind-gateway.js"), apiKey)
	token := l.token(t, alice)
	const asked = 40
	for range asked {
		a := request{
			method: http.MethodPost, path: "/notes?a=b", token: token, body: `{"text":"x"}`,
			header: http.Header{"Cookie": {"a=b"}, "X-User-Id": {"1"}, "X-Request-Id": {"from-the-client"}},
		}.to(t, g.url)
		a.wantOK(t, new(struct{}))
	}
	conns, body := wxlogin.sums()
	if conns > asked/4 || body != 0 {
		t.Errorf("%d questions took %d connections and %d bytes of bodies", asked, conns, body)
	}
	want := http.Header{"Authorization": {"Bearer " + token}, "X-Api-Key": {apiKey}, "X-Request-Id": {"from-the-client"}}
	if r := wxlogin.last(t); r.RequestURI != "/verify" || fmt.Sprint(r.Header) != fmt.Sprint(want) {
		t.Errorf("%s with other headers than those three", r.RequestURI)
	}
}

func TestNginx_request_id_is_one_that_wxlogin_takes(t *testing.T) {
	s := startSystem(t, startServiceNginx)
	token := s.token(t, alice)
	wellFormed := regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)
	for _, sent := range []string{"from-the.client_1", "", `"},"x`, strings.Repeat("x", 65)} {
		header := http.Header{"X-Request-Id": {sent}}
		request{path: "/me", token: token, header: header}.to(t, s.gateway.url)
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
}

// gone is a service that takes a request and is gone then.
func gone(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// A service that is away is not wxlogin's being away: what it was asked it may have done, so nobody is told to ask again.
func TestNginx_service_away(t *testing.T) {
	l := startLogin(t)
	token := l.token(t, alice)
	crashes := httptest.NewServer(http.HandlerFunc(gone))
	t.Cleanup(crashes.Close)
	for _, service := range []string{testenv.FreeAddr(t), crashes.Listener.Addr().String()} {
		g := startServiceNginx(t, l.InternalAddr(), service, apiKey)
		request{path: "/me", token: token}.to(t, g.url).wantProblem(t, 502, "service_unavailable", "none")
	}
}

// raw sends bytes as they are.
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

// wantOwnProblems checks what nginx refuses by itself, before anybody is asked.
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

func TestNginx_own_refusals_are_problems(t *testing.T) {
	s := startSystem(t, startServiceNginx)
	wantOwnProblems(t, s.gateway.url, 1<<20+1)
	for _, path := range []string{"/_verify", "/problem"} { // nobody can ask for these
		request{path: path, token: s.token(t, alice)}.to(t, s.gateway.url).wantProblem(t, 404, "not_found", "none")
	}
	s.service.wantNothing(t)
}

func TestNginx_log_tells_no_token_and_no_query(t *testing.T) {
	s := startSystem(t, startServiceNginx)
	token := s.token(t, alice)
	request{path: "/me?q=hidden", token: token}.to(t, s.gateway.url)
	s.logout(t, token)
	request{path: "/me?q=hidden", token: token}.to(t, s.gateway.url)
	s.gateway.stop(t)
	log := s.gateway.log.String()
	if strings.Contains(log, token) || strings.Contains(log, apiKey) || strings.Contains(log, "hidden") {
		t.Error("the log holds the token, the key or the query")
	}
	user := `"path":"/me","status":200`
	if !strings.Contains(log, user) || !strings.Contains(log, `"userId":"`+s.inMySQL(t, alice.OpenID).UserID+`"`) ||
		!strings.Contains(log, `"path":"/me","status":401`) {
		t.Errorf("the log does not tell whose request it was, or how it ended:\n%s", log)
	}
}

// The cache does what its comment says, in both directions.
func TestNginx_cache_spares_questions_and_delays_a_logout(t *testing.T) {
	needs(t, "node")
	l := startLogin(t)
	wxlogin := startTap(t, l.InternalAddr())
	service := startTap(t, startNode(t, "service/behind-gateway.js"))
	g := startNginx(t, "nginx.conf", apiKey, func(file, text string) string {
		if file == "nginx.conf" {
			text = replaced(t, text, "127.0.0.1:9090", wxlogin.addr, "127.0.0.1:3000", service.addr)
		}
		return strings.ReplaceAll(text, "#cache ", "")
	})
	token, other := l.token(t, alice), l.token(t, bob)
	var got identity
	for range 3 {
		request{path: "/me", token: token, header: forged()}.to(t, g.url).wantOK(t, &got)
		if want := l.inMySQL(t, alice.OpenID); got != want {
			t.Errorf("the service knows %+v, MySQL %+v", got, want)
		}
	}
	if n := len(wxlogin.requests()); n != 1 {
		t.Errorf("%d questions", n)
	}
	request{path: "/me", token: other}.to(t, g.url).wantOK(t, &got)
	if want := l.inMySQL(t, bob.OpenID); got != want {
		t.Errorf("the service knows %+v, MySQL %+v", got, want)
	}
	l.logout(t, token)
	request{path: "/me", token: token}.to(t, g.url).wantOK(t, &got)
	for range 2 { // what was refused is asked again
		request{path: "/me", token: "unknown"}.to(t, g.url).wantProblem(t, 401, "invalid_token", "relogin")
		request{path: "/me"}.to(t, g.url).wantProblem(t, 401, "invalid_token", "relogin")
	}
	if n := len(wxlogin.requests()); n != 6 {
		t.Errorf("%d questions", n)
	}
}

// The part that README shows.
func TestNginx_readme_part_is_short(t *testing.T) {
	_, part, begun := strings.Cut(readFile(t, "nginx/nginx.conf"), "# readme:begin\n")
	part, _, ended := strings.Cut(part, "        # readme:end\n")
	if n := strings.Count(part, "\n"); !begun || !ended || n == 0 || n > 20 {
		t.Errorf("%d lines between the markers, want 1 to 20", n)
	}
}

// X_User_Id is X-User-Id to services that read their headers as CGI gives them.
func TestNginx_drops_headers_with_underscores(t *testing.T) {
	s := startSystem(t, startServiceNginx)
	header := http.Header{"X_User_Id": {"1"}, "X-Wechat_Openid": {"oForged"}}
	request{path: "/me", token: s.token(t, bob), header: header}.to(t, s.gateway.url).wantOK(t, new(identity))
	for name := range s.service.last(t).Header {
		if strings.Contains(name, "_") {
			t.Errorf("%s reached the service", name)
		}
	}
}
