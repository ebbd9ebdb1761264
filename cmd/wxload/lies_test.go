package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// liar stands before a real server.
type liar struct {
	path  string
	lie   lie
	told  func() // after a lie
	mu    sync.Mutex
	taken int
}

// after is how many true answers a lie lets pass, so that there is something to contradict.
const after = 30

func (l *liar) answer(resp *http.Response) error {
	if resp.Request.URL.Path != l.path || resp.StatusCode != http.StatusOK {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	var body map[string]any
	if err := json.Unmarshal(text, &body); err != nil {
		return err
	}
	if l.taken++; l.taken > after && l.lie(body, resp) {
		l.told()
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

func (l *liar) before(t *testing.T, base string) string {
	t.Helper()
	target, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, ModifyResponse: l.answer}
	front := httptest.NewServer(proxy)
	t.Cleanup(front.Close)
	return front.URL
}

// profileIn is the userInfo of a body.
func profileIn(body map[string]any) map[string]any { return body["userInfo"].(map[string]any) }

// lie changes an answer, or returns false where it has nothing to change.
type lie func(body map[string]any, resp *http.Response) bool

// swapped gives each answer what an earlier one of another user had in a field. owner tells from the field whose it is.
func swapped(field string, owner func(value any) string) lie {
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

// itself is the owner of what is another text for each user.
func itself(value any) string { return value.(string) }

// inName is the user whom a profile's nickname names.
func inName(profile any) string {
	user, _, _ := strings.Cut(profile.(map[string]any)["nickName"].(string), " r")
	return user
}

// toKnown lies about those alone of whom something was said before, that the lie contradicts.
func toKnown(l lie) lie {
	known := map[any]bool{}
	return func(body map[string]any, resp *http.Response) bool {
		if body["active"] != true || !known[body["openid"]] {
			known[body["openid"]] = true
			return false
		}
		return l(body, resp)
	}
}

func TestRun_finds_lies(t *testing.T) {
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
		path string
		lie  lie
		want fault
	}{
		"another_name_at_login":     {"/onLogin", nameOfAnother, othersProfile},
		"another_name_at_an_update": {"/updateUserInfo", nameOfAnother, othersProfile},
		"another_name_at_a_reading": {"/userInfo", nameOfAnother, othersProfile},
		"another_profile_altogether": {"/userInfo", func(b map[string]any, r *http.Response) bool {
			return profileIn(b)["nickName"] != "" && profileOfAnother(b, r)
		}, othersProfile},
		"an_avatar_changed": {"/userInfo", func(b map[string]any, _ *http.Response) bool {
			done := profileIn(b)["avatarUrl"] != ""
			profileIn(b)["avatarUrl"] = "https://elsewhere/"
			return done
		}, staleProfile},
		"an_old_name_at_login":     {"/onLogin", earlierName, staleProfile},
		"an_old_name_at_an_update": {"/updateUserInfo", earlierName, staleProfile},
		"an_old_name_at_a_reading": {"/userInfo", earlierName, staleProfile},
		"new_again": {"/onLogin", func(b map[string]any, _ *http.Response) bool {
			b["isNewUser"] = true
			return true
		}, newTwice},
		"another_openid": {"/introspect", swapped("openid", itself), otherIdentity},
		"another_sub":    {"/introspect", toKnown(swapped("sub", itself)), otherIdentity},
		"another_client": {"/introspect", toKnown(func(b map[string]any, _ *http.Response) bool {
			b["client_id"] = "wx1"
			return true
		}), otherIdentity},
		"a_unionid_of_somebody": {"/introspect", func(b map[string]any, _ *http.Response) bool {
			done := b["active"] == true
			b["unionid"] = "u1"
			return done
		}, otherIdentity},
		"a_bad_gateway": {"/onLogin", func(_ map[string]any, r *http.Response) bool {
			r.StatusCode, r.Status = http.StatusBadGateway, "502 Bad Gateway"
			r.Header.Set("Content-Type", "text/html")
			return true
		}, outsideContract},
		"another_request_id": {"/updateUserInfo", func(_ map[string]any, r *http.Response) bool {
			r.Header.Set("X-Request-Id", "another")
			return true
		}, outsideContract},
		"a_field_too_many": {"/userInfo", func(b map[string]any, _ *http.Response) bool {
			b["openid"] = "o1"
			return true
		}, outsideContract},
		"a_field_too_few": {"/updateUserInfo", func(b map[string]any, _ *http.Response) bool {
			delete(profileIn(b), "city")
			return true
		}, outsideContract},
		"another_type": {"/logout", func(_ map[string]any, r *http.Response) bool {
			r.Header.Set("Content-Type", "text/html")
			return true
		}, outsideContract},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			l := &liar{path: test.path, lie: test.lie, told: stop}
			args := server.args(l.before(t, server.public), l.before(t, server.internal), "-duration", "30s",
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
	target, err := url.Parse(server.public)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
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
		if code != 1 || len(res.WrongAnswers) != 1 || res.WrongAnswers[0].Kind != activeAfterLogout {
			t.Errorf("exit code %d, %+v", code, res.WrongAnswers)
		}
	}
}

// Connections that are cut after the server has done its work, so that nobody knows what was done.
func TestRun_finds_cut_connections_and_no_lies_behind_them(t *testing.T) {
	server := startReal(t)
	target, err := url.Parse(server.public)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var mu sync.Mutex
	requests := 0
	front := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ModifyResponse: func(resp *http.Response) error {
			mu.Lock()
			defer mu.Unlock()
			if requests++; requests > 400 {
				stop()
			}
			if requests > after && requests%4 == 0 && resp.Request.Method == http.MethodPost {
				panic(http.ErrAbortHandler)
			}
			return nil
		},
	})
	defer front.Close()
	res, code := runJSON(t, ctx, server.args(front.URL, server.internal, "-users", "100", "-duration", "30s", "-max-errors", "0.9",
		"-mix", "returning=1,update=5,unchanged=2,userinfo=5,introspect=1,new=1")...)
	if code != 0 || len(res.Errors) != 1 || res.Errors[0].Code != cut || res.wrong() > 0 {
		t.Errorf("exit code %d, errors %+v, wrong answers %+v", code, res.Errors, res.WrongAnswers)
	}
}

// What stands in the place of a server that is gone or hangs.
func TestRun_tells_refused_from_timed_out(t *testing.T) {
	server := startReal(t)
	target, err := url.Parse(server.public)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{refused, timedOut} {
		t.Run(want, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var once sync.Once
			var front *httptest.Server
			hold := make(chan struct{})
			front = httptest.NewServer(&httputil.ReverseProxy{
				Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
				ModifyResponse: func(resp *http.Response) error {
					if resp.Request.URL.Path != "/userInfo" {
						return nil
					}
					if want == timedOut {
						<-hold
						return nil
					}
					resp.Header.Set("Connection", "close")
					once.Do(func() { front.Listener.Close() })
					return nil
				},
			})
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
