package wechattest_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

func TestControl(t *testing.T) {
	t.Run("device", func(t *testing.T) {
		sim := newSimulator(wechattest.Options{})
		var login struct{ Code string }
		decode(t, sim, "/sim/login", url.Values{"user": {"alice"}}, &login)
		session, _ := exchange(t, sim, query(appA, secretA, login.Code))
		if session.ErrCode != 0 {
			t.Fatalf("errcode %d", session.ErrCode)
		}
		for kind, anonymous := range map[string]bool{"": false, "info": false, "profile": false, "anonymous": true} {
			var data wechattest.OpenData
			decode(t, sim, "/sim/userinfo", url.Values{"user": {"alice"}, "kind": {kind}}, &data)
			info, err := wechat.DecryptUserInfo(session.SessionKey, data.EncryptedData, data.IV, wechat.Owner{AppID: appA, OpenID: session.OpenID})
			if err != nil || info.IsPlaceholder() != anonymous || (info.OpenID == "") != (kind == "profile") {
				t.Errorf("%q: got %+v, %v", kind, info, err)
			}
		}
		decode(t, sim, "/sim/newkey?user=alice", nil, &struct{}{})
		decode(t, sim, "/sim/login?user=alice&appid="+appA, nil, &login)
		if again, _ := exchange(t, sim, query(appA, secretA, login.Code)); again.OpenID != session.OpenID || again.SessionKey == session.SessionKey {
			t.Error("the session_key was not replaced, or the user is another")
		}
		decode(t, sim, "/sim/login", url.Values{"user": {"alice"}, "appid": {appB}}, &login)
		if other, _ := exchange(t, sim, query(appB, secretB, login.Code)); other.ErrCode != 0 || other.OpenID == session.OpenID {
			t.Errorf("in the other mini-program: errcode %d", other.ErrCode)
		}
	})

	t.Run("userinfo with a nickname", func(t *testing.T) {
		sim := newSimulator(wechattest.Options{})
		nickName := func(form url.Values) string {
			var data wechattest.OpenData
			form.Set("user", "alice")
			decode(t, sim, "/sim/userinfo", form, &data)
			if !strings.Contains(data.RawData, data.UserInfo.NickName) {
				t.Error("rawData and userInfo differ")
			}
			return data.UserInfo.NickName
		}
		longest := strings.Repeat("名", 64)
		for _, test := range []struct{ given, want string }{
			{"", "alice"}, {"Alice 🐼", "Alice 🐼"}, {"", "Alice 🐼"}, {longest, longest},
		} {
			form := url.Values{}
			if test.given != "" {
				form.Set("nickname", test.given)
			}
			if got := nickName(form); got != test.want {
				t.Errorf("%q gives %q, want %q", test.given, got, test.want)
			}
		}
		if got := nickName(url.Values{"nickname": {"Al"}, "kind": {"anonymous"}}); got != wechat.AnonymousNickName {
			t.Errorf("the placeholder is %q", got)
		}
		if got := nickName(url.Values{}); got != "Al" {
			t.Errorf("behind the placeholder stands %q", got)
		}
	})

	t.Run("account", func(t *testing.T) {
		sim := newSimulator(wechattest.Options{})
		var account struct{ OpenID, SessionKey string }
		get := func() {
			w := httptest.NewRecorder()
			sim.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/sim/account?user=alice&appid="+appB, nil))
			if err := json.Unmarshal(w.Body.Bytes(), &account); err != nil {
				t.Fatal(err)
			}
		}
		phone := sim.Device(appB, wechattest.User{Name: "alice"})
		for range 2 {
			get()
			if account.OpenID != phone.OpenID() || account.SessionKey != phone.SessionKey() {
				t.Error("not what the phone has")
			}
			phone.NewSessionKey()
		}
	})

	t.Run("fault", func(t *testing.T) {
		sim := newSimulator(wechattest.Options{})
		post(t, sim, "/sim/fault", url.Values{"kind": {"busy"}, "n": {"2"}})
		post(t, sim, "/sim/fault", url.Values{"kind": {"errcode:45011"}})
		for _, want := range []int{-1, -1, 45011, 40029} {
			if got, _ := exchange(t, sim, query(appA, secretA, "x")); got.ErrCode != want {
				t.Errorf("errcode %d, want %d", got.ErrCode, want)
			}
		}
	})
}

func decode(t *testing.T, sim http.Handler, path string, form url.Values, into any) {
	t.Helper()
	status, body := post(t, sim, path, form)
	if status != http.StatusOK {
		t.Fatalf("%s returns HTTP status %d", path, status)
	}
	if err := json.Unmarshal([]byte(body), into); err != nil {
		t.Fatal(err)
	}
}

func TestControl_Errors(t *testing.T) {
	sim := newSimulator(wechattest.Options{})
	tests := map[string]struct {
		path string
		form url.Values
		want string
	}{
		"no user":            {"/sim/login", nil, "user"},
		"a long user":        {"/sim/login", url.Values{"user": {strings.Repeat("码", 65)}}, "user"},
		"an invalid user":    {"/sim/userinfo", url.Values{"user": {"\xff"}}, "user"},
		"a user with a nul":  {"/sim/newkey", url.Values{"user": {"a\x00"}}, "user"},
		"an unknown app":     {"/sim/login", url.Values{"user": {"alice"}, "appid": {"wxother"}}, "appid"},
		"an unknown kind":    {"/sim/userinfo", url.Values{"user": {"alice"}, "kind": {"x"}}, "kind"},
		"no nickname":        {"/sim/userinfo", url.Values{"user": {"alice"}, "nickname": {""}}, "nickname"},
		"a long nickname":    {"/sim/userinfo", url.Values{"user": {"alice"}, "nickname": {strings.Repeat("码", 65)}}, "nickname"},
		"an odd nickname":    {"/sim/userinfo", url.Values{"user": {"alice"}, "nickname": {"a\nb"}}, "nickname"},
		"an unknown fault":   {"/sim/fault", url.Values{"kind": {"tired"}}, "fault"},
		"no faults":          {"/sim/fault", url.Values{"kind": {"busy"}, "n": {"0"}}, "n must"},
		"too many faults":    {"/sim/fault", url.Values{"kind": {"busy"}, "n": {"1001"}}, "n must"},
		"faults in words":    {"/sim/fault", url.Values{"kind": {"busy"}, "n": {"two"}}, "n must"},
		"a body without end": {"/sim/login", url.Values{"user": {strings.Repeat("a", 70<<10)}}, "user"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			status, body := post(t, sim, test.path, test.form)
			if status != http.StatusBadRequest || !strings.Contains(body, test.want) {
				t.Errorf("HTTP status %d, %s", status, body)
			}
		})
	}
}

func TestControl_JSON(t *testing.T) {
	sim := newSimulator(wechattest.Options{})
	exchange(t, sim, query(appA, secretA, "x"))
	tests := map[string]struct {
		method, path string
		status       int
		body         string
	}{
		"healthz":              {http.MethodGet, "/sim/healthz", 200, `{"status":"ok"}`},
		"stats":                {http.MethodGet, "/sim/stats", 200, `{"calls":1,"exchanged":0,"errcodes":{"40029":1},"others":0,"tokenCalls":0,"tokensMade":0,"phoneCalls":0}`},
		"account without user": {http.MethodGet, "/sim/account", 400, `{"error":"user must be 1 to 64 printable characters"}`},
		"account by post":      {http.MethodPost, "/sim/account?user=alice", 404, ""},
		"login by get":         {http.MethodGet, "/sim/login?user=alice", 404, ""},
		"an other path":        {http.MethodPost, "/sim/other", 404, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			sim.ServeHTTP(w, httptest.NewRequest(test.method, test.path, nil))
			if w.Code != test.status || test.body != "" && strings.TrimSpace(w.Body.String()) != test.body {
				t.Errorf("HTTP status %d, %s", w.Code, w.Body)
			}
			if test.status == 200 && w.Result().Header.Get("Content-Type") != "application/json; charset=utf-8" {
				t.Error("not JSON by its Content-Type")
			}
		})
	}
}

// No control request panics, and each response is JSON.
func FuzzControl(f *testing.F) {
	f.Add("/sim/login", "user=alice")
	f.Add("/sim/userinfo", "user=alice&kind=anonymous&appid="+appB)
	f.Add("/sim/newkey", "user=%ff")
	f.Add("/sim/fault", "kind=slow:1s&n=2")
	f.Add("/sim/fault", "kind=%&n=;")
	f.Add("/sim/pay", "user=alice&data=x&signature=x")
	sim := newSimulator(wechattest.Options{})
	f.Fuzz(func(t *testing.T, path, form string) {
		switch path {
		case "/sim/login", "/sim/userinfo", "/sim/newkey", "/sim/fault", "/sim/pay":
		default:
			return
		}
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		sim.ServeHTTP(w, r)
		if w.Code != http.StatusOK && w.Code != http.StatusBadRequest || !json.Valid(w.Body.Bytes()) {
			t.Errorf("HTTP status %d, %s", w.Code, w.Body)
		}
	})
}

func TestSimulator_Fail(t *testing.T) {
	t.Run("errcodes in order, without spending the code", func(t *testing.T) {
		sim := newSimulator(wechattest.Options{})
		code := sim.Device(appA, wechattest.User{Name: "alice"}).Login()
		sim.Fail(wechattest.Busy, wechattest.RateLimited)
		sim.Fail(wechattest.Blocked, wechattest.ErrCode(40164), wechattest.ErrCode(99999))
		for _, want := range []int{-1, 45011, 40226, 40164, 99999, 0, 40163} {
			if got, _ := exchange(t, sim, query(appA, secretA, code)); got.ErrCode != want {
				t.Errorf("errcode %d, want %d", got.ErrCode, want)
			}
		}
	})

	t.Run("over the network", func(t *testing.T) {
		tests := map[wechattest.Fault]struct {
			status int // 0: the connection is closed
			spent  bool
		}{
			wechattest.Dropped:      {0, false},
			wechattest.DroppedAfter: {0, true},
			wechattest.BadGateway:   {502, false},
			wechattest.BrokenJSON:   {200, false},
		}
		for fault, test := range tests {
			t.Run(string(fault), func(t *testing.T) {
				sim := newSimulator(wechattest.Options{})
				server := httptest.NewServer(sim)
				defer server.Close()
				code := sim.Device(appA, wechattest.User{Name: "alice"}).Login()
				sim.Fail(fault)
				status := get(t, server.URL+"/sns/jscode2session?"+query(appA, secretA, code).Encode())
				if status != test.status {
					t.Errorf("HTTP status %d, want %d", status, test.status)
				}
				want := 0
				if test.spent {
					want = 40163
				}
				if got, _ := exchange(t, sim, query(appA, secretA, code)); got.ErrCode != want {
					t.Errorf("the next exchange returns %d, want %d", got.ErrCode, want)
				}
				if s := sim.Stats(); s.Calls != 2 || s.Exchanged != 1 {
					t.Errorf("stats %+v", s)
				}
			})
		}
	})
}

// get returns the HTTP status, 0 if there was no response.
func get(t *testing.T, target string) int {
	t.Helper()
	resp, err := http.Get(target)
	if err != nil {
		if !errors.Is(err, io.EOF) {
			t.Errorf("got %T, want the end of the connection", errors.Unwrap(err))
		}
		return 0
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

func TestSlow(t *testing.T) {
	t.Run("delays the response, like Latency", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			sim := newSimulator(wechattest.Options{Latency: 80 * time.Millisecond})
			code := sim.Device(appA, wechattest.User{Name: "alice"}).Login()
			sim.Fail(wechattest.Slow(3 * time.Second))
			start := time.Now()
			got, _ := exchange(t, sim, query(appA, secretA, code))
			if took := time.Since(start); took != 3080*time.Millisecond || got.ErrCode != 0 {
				t.Errorf("errcode %d after %s", got.ErrCode, took)
			}
			start = time.Now()
			exchange(t, sim, query(appA, secretA, code))
			if took := time.Since(start); took != 80*time.Millisecond {
				t.Errorf("took %s", took)
			}
		})
	})

	t.Run("ends if the caller disconnects, without spending the code", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			sim := newSimulator(wechattest.Options{})
			code := sim.Device(appA, wechattest.User{Name: "alice"}).Login()
			sim.Fail(wechattest.Slow(time.Hour))
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/sns/jscode2session?"+query(appA, secretA, code).Encode(), nil)
			start := time.Now()
			sim.ServeHTTP(httptest.NewRecorder(), r)
			if took := time.Since(start); took != time.Second {
				t.Errorf("took %s", took)
			}
			if got, _ := exchange(t, sim, query(appA, secretA, code)); got.ErrCode != 0 {
				t.Errorf("errcode %d", got.ErrCode)
			}
		})
	})
}

// A parsed Fault is equal to its name, and Fail accepts it.
func FuzzParseFault(f *testing.F) {
	for _, name := range []string{"busy", "ratelimited", "blocked", "dropped", "droppedafter", "badgateway", "brokenjson",
		"slow:1.5s", "slow:-1s", "slow:", "errcode:40029", "errcode:0", "errcode:-1", "errcode:x", "", "tired"} {
		f.Add(name)
	}
	sim := newSimulator(wechattest.Options{})
	f.Fuzz(func(t *testing.T, name string) {
		fault, err := wechattest.ParseFault(name)
		if err != nil {
			if fault != "" {
				t.Errorf("got %q with an error", fault)
			}
			return
		}
		if again, err := wechattest.ParseFault(string(fault)); err != nil || again != fault {
			t.Errorf("%q is read again as %q, %v", fault, again, err)
		}
		if !strings.Contains(name, ":") && string(fault) != name {
			t.Errorf("%q is read as %q", name, fault)
		}
		sim.Fail(fault)
	})
}
