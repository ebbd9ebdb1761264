package load

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wxlogin/cmd/wxtest/internal/cli"
	"wxlogin/cmd/wxtest/internal/player"
	"wxlogin/internal/testenv/servertest"
	"wxlogin/wechat/wechattest"
)

const apiKey = servertest.APIKey

// real is a server with all that it needs.
type real struct{ public, internal, wechat string }

func startReal(t *testing.T) real {
	t.Helper()
	s := servertest.Start(t)
	return real{s.Public(), s.Internal(), s.WeChat}
}

// args are a command line for this server, at other addresses where these are given.
func (r real) args(public, internal string, more ...string) []string {
	args := []string{
		"-wechat", r.wechat, "-server", public, "-internal", internal, "-internal-key", apiKey, "-progress", "0s",
		"-phones", "4", "-users", "8", "-timeout", "1m",
	}
	return append(args, more...)
}

// runJSON runs the command and reads its result.
func runJSON(t *testing.T, ctx context.Context, args ...string) (result, int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := cli.Code(Run(ctx, append(args, "-json", "-"), &stdout, &stderr), &stderr)
	var res result
	if err := json.Unmarshal(stdout.Bytes(), &res); err != nil {
		t.Fatalf("%v: %s%s", err, stdout.String(), stderr.String())
	}
	return res, code
}

// served counts the requests of a route by what the server's metrics say.
func served(t *testing.T, internal, path string) (n int64) {
	t.Helper()
	resp, err := http.Get(internal + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	pattern := `(?m)^wxlogin_http_requests_total\{route="` + regexp.QuoteMeta(path) + `",status="[0-9]+"\} (\S+)$`
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
		count, err := strconv.ParseFloat(match[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		n += int64(count)
	}
	return n
}

func TestRun_counts_as_the_server_does(t *testing.T) {
	server := startReal(t)
	const everything = "returning=5,new=2,update=5,unchanged=2,userinfo=3,introspect=3,logout=2"
	for name, loop := range map[string][]string{"closed": {"-appid", wechattest.DemoAppID}, "open": {"-rate", "200", "-warmup", "200ms"}} {
		t.Run(name, func(t *testing.T) {
			var paths []string
			for r := range player.Routes {
				paths = append(paths, r.String())
			}
			before := map[string]int64{}
			for _, path := range paths {
				before[path] = served(t, server.internal, path)
			}
			args := server.args(server.public+","+server.public, server.internal, append(loop, "-mix", everything, "-duration", "1s")...)
			res, code := runJSON(t, t.Context(), args...)
			if code != 0 || res.wrong() > 0 || len(res.Errors) > 0 || res.Simulator.Failures > 0 {
				t.Errorf("exit code %d, errors %+v, wrong answers %+v", code, res.Errors, res.WrongAnswers)
			}
			sent, all := map[string]int64{}, int64(0)
			for path, n := range res.Uncounted {
				sent[path] = n
			}
			for _, route := range res.Routes {
				sent[route.Route] += route.Requests
				all += route.Requests
			}
			if all != res.All.Requests || all == 0 {
				t.Errorf("%d requests by routes, %d in all", all, res.All.Requests)
			}
			for _, path := range paths {
				until := time.Now().Add(5 * time.Second) // the server counts a request after it has answered
				for served(t, server.internal, path)-before[path] != sent[path] && time.Now().Before(until) {
				}
				if got := served(t, server.internal, path) - before[path]; got != sent[path] {
					t.Errorf("%s: %d requests sent, %d counted by the server", path, sent[path], got)
				}
			}
		})
	}
}

// A users that the server knows from an earlier run, with its profiles, is known to the next one by its seed.
func TestRun_knows_the_users_of_an_earlier_run(t *testing.T) {
	server := startReal(t)
	for range 2 {
		res, code := runJSON(t, t.Context(), server.args(server.public, server.internal,
			"-seed", "7", "-mix", "returning=1,update=1,userinfo=1,new=1", "-duration", "500ms")...)
		if code != 0 || len(res.Errors) > 0 {
			t.Fatalf("errors %+v, wrong answers %+v", res.Errors, res.WrongAnswers)
		}
	}
}

func TestRun_without_an_internal_listener(t *testing.T) {
	server := startReal(t)
	res, code := runJSON(t, t.Context(), "-wechat", server.wechat, "-server", server.public, "-progress", "0s", "-phones", "2", "-users", "2",
		"-mix", "logout=1,userinfo=1", "-duration", "500ms")
	if code != 0 || len(res.Errors) > 0 {
		t.Errorf("errors %+v, wrong answers %+v", res.Errors, res.WrongAnswers)
	}
}

func TestRun_prints_no_secret(t *testing.T) {
	server := startReal(t)
	var stdout, stderr bytes.Buffer
	args := server.args(server.public, server.internal, "-internal-key", "the key of another client", "-mix", "introspect=1,returning=1", "-duration", "200ms")
	if code := cli.Code(Run(t.Context(), args, &stdout, &stderr), &stderr); code != 1 {
		t.Errorf("exit code %d", code)
	}
	out := stdout.String() + stderr.String()
	if !strings.Contains(out, "invalid_api_key") || strings.Contains(out, "another client") || strings.Contains(out, wechattest.DemoSecret) {
		t.Error(out)
	}
}

// tamperingProxy changes responses of a real server.
type tamperingProxy struct {
	path     string
	tamper   tamper
	tampered func() // called after that
	mu       sync.Mutex
	taken    int
}

// after is how many responses pass unchanged first, so that there is something to contradict.
const after = 30

func (p *tamperingProxy) answer(resp *http.Response) error {
	if resp.Request.URL.Path != p.path || resp.StatusCode != http.StatusOK {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	var body map[string]any
	if err := json.Unmarshal(text, &body); err != nil {
		return err
	}
	if p.taken++; p.taken > after && p.tamper(body, resp) {
		p.tampered()
		if text, err = json.Marshal(body); err != nil {
			return err
		}
		resp.Header.Set("Content-Length", strconv.Itoa(len(text)))
	}
	if resp.StatusCode == http.StatusBadGateway {
		text = []byte("<html><title>502 Bad Gateway</title></html>")
		resp.Header.Set("Content-Length", strconv.Itoa(len(text)))
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	return nil
}

// proxyTo returns a proxy before a server. change, if it is not nil, changes its responses.
func proxyTo(t *testing.T, base string, change func(*http.Response) error) http.Handler {
	t.Helper()
	target, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, ModifyResponse: change}
}

func (p *tamperingProxy) before(t *testing.T, base string) string {
	t.Helper()
	front := httptest.NewServer(proxyTo(t, base, p.answer))
	t.Cleanup(front.Close)
	return front.URL
}

// profileIn is the userInfo of a body.
func profileIn(body map[string]any) map[string]any { return body["userInfo"].(map[string]any) }

// tamper changes a response, or returns false if there is nothing to change.
type tamper func(body map[string]any, resp *http.Response) bool

// swapped gives a field of each response the value of an earlier response to another user. owner returns whose a value is.
func swapped(field string, owner func(value any) string) tamper {
	var earlier any
	return func(body map[string]any, _ *http.Response) bool {
		was := body[field]
		if was == nil || earlier == nil || owner(earlier) == owner(was) {
			earlier = was
			return false
		}
		body[field], earlier = earlier, was
		return true
	}
}

// itself is the owner of a value that is another text for each user.
func itself(value any) string { return value.(string) }

// inName returns the user in a profile's nickname.
func inName(profile any) string {
	user, _, _ := strings.Cut(profile.(map[string]any)["nickName"].(string), " r")
	return user
}

// ofKnown tampers only with users of whom a response was passed before, which the change contradicts.
func ofKnown(change tamper) tamper {
	known := map[any]bool{}
	return func(body map[string]any, resp *http.Response) bool {
		if body["active"] != true || !known[body["openid"]] {
			known[body["openid"]] = true
			return false
		}
		return change(body, resp)
	}
}

func TestRun_finds_tampered_responses(t *testing.T) {
	server := startReal(t)
	profileOfAnother := swapped("userInfo", inName)
	nameOfAnother := func(body map[string]any, _ *http.Response) bool {
		info := profileIn(body)
		if info["nickName"] == "" {
			return false
		}
		info["nickName"] = "w0-somebody r1"
		return true
	}
	earlierName := func(body map[string]any, _ *http.Response) bool {
		info := profileIn(body)
		user, revision, _ := strings.Cut(info["nickName"].(string), " r")
		if n, _ := strconv.Atoi(revision); n < 2 {
			return false
		}
		info["nickName"] = user + " r1"
		return true
	}
	for name, test := range map[string]struct {
		path   string
		tamper tamper
		want   player.Wrong
	}{
		"another_name_at_login":     {"/onLogin", nameOfAnother, player.OthersProfile},
		"another_name_at_an_update": {"/updateUserInfo", nameOfAnother, player.OthersProfile},
		"another_name_at_a_reading": {"/userInfo", nameOfAnother, player.OthersProfile},
		"another_profile_altogether": {"/userInfo", func(b map[string]any, r *http.Response) bool {
			return profileIn(b)["nickName"] != "" && profileOfAnother(b, r)
		}, player.OthersProfile},
		"an_avatar_changed": {"/userInfo", func(b map[string]any, _ *http.Response) bool {
			done := profileIn(b)["avatarUrl"] != ""
			profileIn(b)["avatarUrl"] = "https://elsewhere/"
			return done
		}, player.StaleProfile},
		"an_old_name_at_login":     {"/onLogin", earlierName, player.StaleProfile},
		"an_old_name_at_an_update": {"/updateUserInfo", earlierName, player.StaleProfile},
		"an_old_name_at_a_reading": {"/userInfo", earlierName, player.StaleProfile},
		"new_again": {"/onLogin", func(b map[string]any, _ *http.Response) bool {
			b["isNewUser"] = true
			return true
		}, player.NewTwice},
		"another_openid": {"/introspect", swapped("openid", itself), player.OtherIdentity},
		"another_sub":    {"/introspect", ofKnown(swapped("sub", itself)), player.OtherIdentity},
		"another_client": {"/introspect", ofKnown(func(b map[string]any, _ *http.Response) bool {
			b["client_id"] = "wx1"
			return true
		}), player.OtherIdentity},
		"a_unionid_of_somebody": {"/introspect", func(b map[string]any, _ *http.Response) bool {
			done := b["active"] == true
			b["unionid"] = "u1"
			return done
		}, player.OtherIdentity},
		"a_bad_gateway": {"/onLogin", func(_ map[string]any, r *http.Response) bool {
			r.StatusCode, r.Status = http.StatusBadGateway, "502 Bad Gateway"
			r.Header.Set("Content-Type", "text/html")
			return true
		}, player.OutsideContract},
		"another_request_id": {"/updateUserInfo", func(_ map[string]any, r *http.Response) bool {
			r.Header.Set("X-Request-Id", "another")
			return true
		}, player.OutsideContract},
		"a_field_too_many": {"/userInfo", func(b map[string]any, _ *http.Response) bool {
			b["openid"] = "o1"
			return true
		}, player.OutsideContract},
		"a_field_too_few": {"/updateUserInfo", func(b map[string]any, _ *http.Response) bool {
			delete(profileIn(b), "city")
			return true
		}, player.OutsideContract},
		"another_type": {"/logout", func(_ map[string]any, r *http.Response) bool {
			r.Header.Set("Content-Type", "text/html")
			return true
		}, player.OutsideContract},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			p := &tamperingProxy{path: test.path, tamper: test.tamper, tampered: stop}
			args := server.args(p.before(t, server.public), p.before(t, server.internal), "-duration", "30s",
				"-mix", "returning=5,update=5,unchanged=2,userinfo=5,introspect=5,logout=2")
			res, code := runJSON(t, ctx, args...)
			if code != 1 || len(res.WrongAnswers) != 1 || res.WrongAnswers[0].Kind != test.want || len(res.Errors) > 0 {
				t.Fatalf("exit code %d, errors %+v, wrong answers %+v", code, res.Errors, res.WrongAnswers)
			}
			if one := res.WrongAnswers[0].Examples[0]; one.Route != test.path || one.Why == "" || !res.EndedEarly {
				t.Errorf("%+v", one)
			}
		})
	}
}

// A server that says a logout is done, and does nothing.
func TestRun_finds_tokens_that_outlive_their_logout(t *testing.T) {
	server := startReal(t)
	proxy := proxyTo(t, server.public, nil)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/logout" {
			proxy.ServeHTTP(w, r)
			return
		}
		w.Header().Set("X-Request-Id", r.Header.Get("X-Request-Id"))
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"status":200}`)
	}))
	defer front.Close()
	withInternal := server.args(front.URL, server.internal, "-duration", "1s", "-mix", "logout=1")
	without := []string{"-wechat", server.wechat, "-server", front.URL, "-phones", "1", "-users", "1", "-duration", "1s", "-mix", "logout=1"}
	for _, args := range [][]string{withInternal, without} {
		res, code := runJSON(t, t.Context(), args...)
		if code != 1 || len(res.WrongAnswers) != 1 || res.WrongAnswers[0].Kind != player.ActiveAfterLogout {
			t.Errorf("exit code %d, %+v", code, res.WrongAnswers)
		}
	}
}

// Connections that are cut after the server has done its work, so that it is unknown what was done.
func TestRun_finds_cut_connections_and_nothing_wrong_after_them(t *testing.T) {
	server := startReal(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var counter atomic.Int64
	front := httptest.NewServer(proxyTo(t, server.public, func(resp *http.Response) error {
		requests := counter.Add(1)
		if requests > 400 {
			stop()
		}
		if requests > after && requests%4 == 0 && resp.Request.Method == http.MethodPost {
			panic(http.ErrAbortHandler)
		}
		return nil
	}))
	defer front.Close()
	res, code := runJSON(t, ctx, server.args(front.URL, server.internal, "-users", "100", "-duration", "30s", "-max-errors", "0.9",
		"-mix", "returning=1,update=5,unchanged=2,userinfo=5,introspect=1,new=1")...)
	if code != 0 || len(res.Errors) != 1 || res.Errors[0].Code != player.Cut || res.wrong() > 0 {
		t.Errorf("exit code %d, errors %+v, wrong answers %+v", code, res.Errors, res.WrongAnswers)
	}
}

// A server that is gone, and one that hangs.
func TestRun_distinguishes_refused_and_timed_out(t *testing.T) {
	server := startReal(t)
	for _, want := range []string{player.Refused, player.TimedOut} {
		t.Run(want, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var once sync.Once
			var front *httptest.Server
			hold := make(chan struct{})
			front = httptest.NewServer(proxyTo(t, server.public, func(resp *http.Response) error {
				switch {
				case resp.Request.URL.Path != "/userInfo":
				case want == player.TimedOut:
					<-hold
				default:
					resp.Header.Set("Connection", "close")
					once.Do(func() { front.Listener.Close() })
				}
				return nil
			}))
			defer front.Close()
			defer close(hold)
			res, code := runJSON(t, ctx, server.args(front.URL, server.internal, "-duration", "1s", "-mix", "userinfo=1", "-timeout", "500ms")...)
			named := func(e errorResult) bool { return e.Code == want }
			if code != 1 || !slices.ContainsFunc(res.Errors, named) || res.wrong() > 0 {
				t.Errorf("exit code %d, errors %+v, wrong answers %+v", code, res.Errors, res.WrongAnswers)
			}
		})
	}
}
