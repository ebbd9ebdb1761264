package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sony/gobreaker/v2"

	"wxlogin/internal/config"
	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

// breakerApp is a real client of a simulator, behind a breaker.
type breakerApp struct {
	withBreaker
	sim    *wechattest.Simulator
	opened int
}

func newBreakerApp(t *testing.T, open time.Duration) *breakerApp {
	t.Helper()
	const appID, secret = "wx0123456789abcdef", "5ec2e7a9905ec2e7a9905ec2e7a99099"
	a := &breakerApp{sim: wechattest.New(wechattest.Options{Apps: map[string]string{appID: secret}})}
	server := httptest.NewServer(a.sim)
	t.Cleanup(server.Close)
	client, err := wechat.NewClient(wechat.Options{AppID: appID, Secret: secret, BaseURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	s := defaultBreaker
	s.failures, s.consecutiveFailures, s.openFor = 3, 3, open
	a.withBreaker = withBreaker{client, newBreaker(s, slog.New(slog.DiscardHandler), func() { a.opened++ })}
	return a
}

// login exchanges one code. The simulator applies the faults to it.
func (a *breakerApp) login(t *testing.T, faults ...wechattest.Fault) error {
	t.Helper()
	a.sim.Fail(faults...)
	_, err := a.Code2Session(t.Context(), a.sim.Device("", wechattest.User{Name: "alice"}).Login())
	return err
}

func (a *breakerApp) wantState(t *testing.T, want gobreaker.State) {
	t.Helper()
	if got := a.breaker.State(); got != want {
		t.Fatalf("the breaker is %v, want %v", got, want)
	}
}

func TestBreaker(t *testing.T) {
	t.Run("opens if WeChat fails", func(t *testing.T) {
		for name, faults := range map[string][]wechattest.Fault{
			"lost connections": {wechattest.Dropped},
			"bad gateway":      {wechattest.BadGateway},
			"unreadable":       {wechattest.BrokenJSON},
			"busy":             slices.Repeat([]wechattest.Fault{wechattest.Busy}, 3), // one login tries three times
		} {
			t.Run(name, func(t *testing.T) {
				a := newBreakerApp(t, time.Hour)
				for range 3 {
					a.wantState(t, gobreaker.StateClosed)
					if err := a.login(t, faults...); wechat.KindOf(err) != wechat.KindUnavailable {
						t.Fatalf("got %v", err)
					}
				}
				a.wantState(t, gobreaker.StateOpen)
				calls := a.sim.Calls()
				if err := a.login(t); wechat.KindOf(err) != wechat.KindUnavailable || !errors.Is(err, gobreaker.ErrOpenState) {
					t.Errorf("with an open breaker: %v", err)
				}
				if a.sim.Calls() != calls {
					t.Error("an open breaker passes on a call")
				}
				if a.opened != 1 {
					t.Errorf("onOpen was called %d times", a.opened)
				}
			})
		}
	})

	// A response about a code, a user or this server's configuration shows that WeChat works.
	t.Run("stays closed on error codes that WeChat returns", func(t *testing.T) {
		a := newBreakerApp(t, time.Hour)
		for _, errCode := range []int{40029, 40163, 40226, 40013, 40125, 40164, 45011, 12345} {
			for range 4 {
				if err := a.login(t, wechattest.ErrCode(errCode)); err == nil {
					t.Fatal("the login succeeded")
				}
			}
			a.wantState(t, gobreaker.StateClosed)
		}
	})

	t.Run("ignores cancelled calls", func(t *testing.T) {
		a := newBreakerApp(t, time.Hour)
		for range 10 {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := a.Code2Session(ctx, "a code"); !errors.Is(err, context.Canceled) {
				t.Fatalf("got %v", err)
			}
		}
		a.wantState(t, gobreaker.StateClosed)
		// They do not hide failures either.
		for range 3 {
			a.login(t, wechattest.Dropped)
		}
		a.wantState(t, gobreaker.StateOpen)
	})

	t.Run("closes after WeChat has recovered", func(t *testing.T) {
		a := newBreakerApp(t, 10*time.Millisecond)
		for range 3 {
			a.login(t, wechattest.Dropped)
		}
		becomesHalfOpen := func() {
			for deadline := time.Now().Add(30 * time.Second); a.breaker.State() != gobreaker.StateHalfOpen; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("the breaker stays open")
				}
			}
		}
		becomesHalfOpen()
		a.login(t, wechattest.Dropped) // still failing
		if a.opened != 2 {
			t.Errorf("a failed half-open call does not open the breaker again")
		}
		becomesHalfOpen()
		for range defaultBreaker.halfOpenCalls {
			if err := a.login(t); err != nil {
				t.Fatal(err)
			}
		}
		a.wantState(t, gobreaker.StateClosed)
	})

	// A few lost connections among many logins must not make the breaker reject any.
	t.Run("stays closed on few failures among many logins", func(t *testing.T) {
		a := newBreakerApp(t, time.Hour)
		for range 4 {
			for range 2 {
				if err := a.login(t); err != nil {
					t.Fatal(err)
				}
			}
			a.login(t, wechattest.Dropped)
		}
		a.wantState(t, gobreaker.StateClosed)
	})
}

const (
	goodSession = `{"openid":"oAlice","session_key":"tiihtNczf5v6AKRyjwEUhQ=="}`
	goodToken   = `{"access_token":"an-access-token","expires_in":7200}`
)

// phoneInfoOf returns a response of getuserphonenumber with this JSON as the country code.
func phoneInfoOf(countryCode string) string {
	return `{"errcode":0,"phone_info":{"phoneNumber":"13800138000","purePhoneNumber":"13800138000","countryCode":` + countryCode + `}}`
}

// fakeWeChat returns a fixed body for each API.
type fakeWeChat struct {
	url                    string
	session, token, number atomic.Pointer[string]
}

func newFakeWeChat(t *testing.T) *fakeWeChat {
	t.Helper()
	f := &fakeWeChat{}
	f.set(&f.session, goodSession)
	f.set(&f.token, goodToken)
	f.set(&f.number, phoneInfoOf(`"86"`))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		bodies := map[string]*atomic.Pointer[string]{
			"/sns/jscode2session": &f.session, "/cgi-bin/stable_token": &f.token, "/wxa/business/getuserphonenumber": &f.number,
		}
		io.WriteString(w, *bodies[r.URL.Path].Load())
	}))
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

func (f *fakeWeChat) set(response *atomic.Pointer[string], body string) { response.Store(&body) }

// newFakeApp returns a client of a fake WeChat behind a breaker that opens after three failures.
func newFakeApp(t *testing.T, f *fakeWeChat, open time.Duration) withBreaker {
	t.Helper()
	client, err := wechat.NewClient(wechat.Options{AppID: testAppID, Secret: testSecret, BaseURL: f.url})
	if err != nil {
		t.Fatal(err)
	}
	s := defaultBreaker
	s.failures, s.consecutiveFailures, s.openFor = 3, 3, open
	return withBreaker{client, newBreaker(s, slog.New(slog.DiscardHandler), func() {})}
}

func TestBreaker_Responses(t *testing.T) {
	for name, test := range map[string]struct {
		body string
		want gobreaker.State
	}{
		"an object without an openid":      {`{"session_key":"tiihtNczf5v6AKRyjwEUhQ=="}`, gobreaker.StateClosed},
		"an empty object":                  {`{}`, gobreaker.StateClosed},
		"an invalid openid":                {`{"openid":"a b","session_key":"tiihtNczf5v6AKRyjwEUhQ=="}`, gobreaker.StateClosed},
		"an openid of another type":        {`{"openid":5,"session_key":"tiihtNczf5v6AKRyjwEUhQ=="}`, gobreaker.StateClosed},
		"a session_key that is not base64": {`{"openid":"oAlice","session_key":"!"}`, gobreaker.StateClosed},
		"an errcode next to an odd field":  {`{"openid":5,"errcode":40029,"errmsg":"invalid code"}`, gobreaker.StateClosed},
		"-1 next to an odd field":          {`{"openid":5,"errcode":-1,"errmsg":"system error"}`, gobreaker.StateOpen},
		"-1000":                            {`{"errcode":-1000,"errmsg":"system error"}`, gobreaker.StateOpen},
		"-1 as a text":                     {`{"errcode":"-1"}`, gobreaker.StateOpen},
		"an unknown errcode":               {`{"errcode":77777}`, gobreaker.StateClosed},
		"half an object":                   {`{"session_key":"`, gobreaker.StateOpen},
		"a page":                           {`<html><body>502</body></html>`, gobreaker.StateOpen},
		"nothing":                          {``, gobreaker.StateOpen},
		"null":                             {`null`, gobreaker.StateOpen},
		"a list":                           {`[]`, gobreaker.StateOpen},
		"a text":                           {`"ok"`, gobreaker.StateOpen},
		"an object with trailing data":     {goodSession + "x", gobreaker.StateOpen},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeWeChat(t)
			f.set(&f.session, test.body)
			g := newFakeApp(t, f, time.Hour)
			for range 12 {
				if _, err := g.Code2Session(t.Context(), "a-code"); err == nil {
					t.Fatal("the login succeeded")
				}
			}
			if got := g.breaker.State(); got != test.want {
				t.Errorf("the breaker is %v, want %v", got, test.want)
			}
		})
	}
}

// An excluded call neither closes a half-open breaker nor uses up its calls.
func TestBreaker_HalfOpen(t *testing.T) {
	f := newFakeWeChat(t)
	f.set(&f.session, `<html>`)
	g := newFakeApp(t, f, time.Millisecond)
	for range 3 {
		g.Code2Session(t.Context(), "a-code")
	}
	waitUntil(t, "the breaker is half open", func() bool { return g.breaker.State() == gobreaker.StateHalfOpen })

	f.set(&f.session, `{}`)
	for range 50 {
		if _, err := g.Code2Session(t.Context(), "a-code"); err == nil || strings.Contains(err.Error(), "circuit breaker") {
			t.Fatalf("the breaker rejected a call: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		g.Code2Session(ctx, "a-code")
	}
	if got := g.breaker.State(); got != gobreaker.StateHalfOpen {
		t.Fatalf("the breaker is %v", got)
	}

	f.set(&f.session, goodSession)
	for range defaultBreaker.halfOpenCalls {
		if _, err := g.Code2Session(t.Context(), "a-code"); err != nil {
			t.Fatal(err)
		}
	}
	if got := g.breaker.State(); got != gobreaker.StateClosed {
		t.Errorf("the breaker is %v", got)
	}
}

// otherTestApp is a second mini-program on the same server.
const otherTestApp = "wxfedcba9876543210"

// twoApps is a server for two mini-programs, whose simulator of WeChat may fail calls.
type twoApps struct {
	*testServer
	sim   *wechattest.Simulator
	calls atomic.Int64 // of WeChat
}

// newTwoApps starts a server. instead handles a call instead of the simulator and returns true, or returns false.
func newTwoApps(t *testing.T, instead func(w http.ResponseWriter, call weChatCall) bool) *twoApps {
	t.Helper()
	a := &twoApps{sim: wechattest.New(wechattest.Options{Apps: map[string]string{testAppID: testSecret, otherTestApp: testSecret}})}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.calls.Add(1)
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if !instead(w, a.callOf(r, string(body))) {
			a.sim.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	a.testServer = newTestServer(t, func(c *config.Config, _ *Options) {
		c.WeChatAPIBase, c.Apps = server.URL, []config.App{{AppID: otherTestApp, Secret: testSecret}}
	})
	return a
}

// weChatCall is a call of WeChat.
type weChatCall struct{ appID, path, body string }

func (a *twoApps) callOf(r *http.Request, body string) weChatCall {
	call := weChatCall{r.URL.Query().Get("appid"), r.URL.Path, body}
	for _, appID := range []string{testAppID, otherTestApp} {
		if token := r.URL.Query().Get("access_token"); token != "" && slices.Contains(a.sim.AccessTokens(appID), token) {
			call.appID = appID
		}
	}
	return call
}

// user returns a user with the openid oNAME in every app.
func user(name string) wechattest.User { return wechattest.User{Name: name, OpenID: "o" + name} }

// login logs a user in.
func (a *twoApps) login(appID, name string) (status int, token string) {
	a.t.Helper()
	status, body := a.postForm("/onLogin", "appid", appID, "code", a.sim.Device(appID, user(name)).Login())
	var login struct{ Token string }
	if err := json.Unmarshal([]byte(body), &login); err != nil {
		a.t.Fatal(err)
	}
	return status, login.Token
}

// mustLogin is login, which must succeed.
func (a *twoApps) mustLogin(appID, name string) (token string) {
	a.t.Helper()
	status, token := a.login(appID, name)
	if status != http.StatusOK {
		a.t.Fatalf("a login of %s: %d", appID, status)
	}
	return token
}

// bindPhone taps the phone button of a logged-in user.
func (a *twoApps) bindPhone(appID, name, token string) (status int) {
	a.t.Helper()
	code := a.sim.Device(appID, user(name)).PhoneCode()
	status, _ = a.postForm("/bindPhone", "token", token, "code", code)
	return status
}

func (a *twoApps) postForm(path string, fields ...string) (status int, body string) {
	a.t.Helper()
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	res, err := http.PostForm("http://"+a.server.PublicAddr()+path, form)
	if err != nil {
		a.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// breakerState returns the state of an app's breaker in /metrics.
func (a *twoApps) breakerState(appID string) string {
	a.t.Helper()
	figures := a.metrics()
	for _, state := range []string{"closed", "half-open", "open"} {
		if strings.Contains(figures, `wxlogin_wechat_breaker_state{appid="`+appID+`",state="`+state+`"} 1`) {
			return state
		}
	}
	return "missing"
}

// weChatFailures are responses of a WeChat that fails.
var weChatFailures = map[string]func(http.ResponseWriter){
	"errcode -1":  func(w http.ResponseWriter) { io.WriteString(w, `{"errcode":-1,"errmsg":"system error"}`) },
	"bad gateway": func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) },
}

// If WeChat fails for one app, the other app of the same server is not affected.
func TestBreaker_PerApp(t *testing.T) {
	for name, fail := range weChatFailures {
		t.Run("logins: "+name, func(t *testing.T) {
			a := newTwoApps(t, func(w http.ResponseWriter, call weChatCall) bool {
				if call.appID == testAppID {
					fail(w)
				}
				return call.appID == testAppID
			})
			for range 12 {
				if status, _ := a.login(testAppID, "Alice"); status != http.StatusServiceUnavailable {
					t.Fatalf("a login of the failing app: %d", status)
				}
			}
			if got := a.breakerState(testAppID); got == "closed" || got == "missing" {
				t.Fatalf("the failing app's breaker is %s", got)
			}
			for range 5 {
				a.mustLogin(otherTestApp, "Bob")
			}
			if got := a.breakerState(otherTestApp); got != "closed" {
				t.Errorf("the other app's breaker is %s", got)
			}
			const opened = `"msg":"circuit breaker towards WeChat","appid":"`
			if log := a.log.String(); !strings.Contains(log, opened+testAppID) || strings.Contains(log, opened+otherTestApp) {
				t.Error("the log does not name the app of the open breaker")
			}
		})

		t.Run("phone numbers: "+name, func(t *testing.T) {
			a := newTwoApps(t, func(w http.ResponseWriter, call weChatCall) bool {
				failing := call.appID == testAppID && strings.HasSuffix(call.path, "getuserphonenumber")
				if failing {
					fail(w)
				}
				return failing
			})
			one, other := a.mustLogin(testAppID, "Alice"), a.mustLogin(otherTestApp, "Bob")
			for range 12 {
				if status := a.bindPhone(testAppID, "Alice", one); status != http.StatusServiceUnavailable {
					t.Fatalf("a phone number of the failing app: %d", status)
				}
			}
			if log := a.log.String(); !strings.Contains(log, `"calls":"phone numbers","appid":"`+testAppID+`","from":"closed","to":"open"`) {
				t.Fatal("the failing app's breaker did not open")
			}
			for range 3 {
				if status := a.bindPhone(otherTestApp, "Bob", other); status != http.StatusOK {
					t.Fatalf("a phone number of the other app: %d", status)
				}
			}
			a.mustLogin(testAppID, "Alice")
		})
	}
}

// A user with an unusable phone number taps the button again and again. That is not an outage.
func TestBreaker_UnusablePhoneNumber(t *testing.T) {
	var response atomic.Pointer[string] // to Bob's calls
	a := newTwoApps(t, func(w http.ResponseWriter, call weChatCall) bool {
		bobs := strings.HasSuffix(call.path, "getuserphonenumber") && strings.Contains(call.body, "oBob")
		if bobs {
			io.WriteString(w, *response.Load())
		}
		return bobs
	})
	alices, bobs := a.mustLogin(testAppID, "Alice"), a.mustLogin(testAppID, "Bob")
	for name, unusable := range map[string]string{
		"without a country code": phoneInfoOf(`""`), "with another type of country code": phoneInfoOf(`{}`), "without phone_info": `{"errcode":0}`,
	} {
		t.Run(name, func(t *testing.T) {
			response.Store(&unusable)
			calls := a.calls.Load()
			for range 50 {
				if status := a.bindPhone(testAppID, "Bob", bobs); status != http.StatusBadRequest {
					t.Fatalf("the unusable number: %d", status)
				}
			}
			if got := a.calls.Load() - calls; got < 50 {
				t.Errorf("%d calls of WeChat: the breaker opened", got)
			}
			if status := a.bindPhone(testAppID, "Alice", alices); status != http.StatusOK {
				t.Errorf("another user's number: %d", status)
			}
		})
	}
}
