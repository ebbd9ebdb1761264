package handlers_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"wxlogin/wechat/push"
	"wxlogin/wechat/wechattest"
)

const (
	pushToken = "pu5hT0kenOfThe1stApp"
	pushKey   = "pu5hKey0123456789abcdefghijklmnopqrstuvwxyA"
)

// The modes in which WeChat pushes.
var (
	plainMode = push.Options{Token: pushToken}
	safeMode  = push.Options{Token: pushToken, EncodingAESKey: pushKey}
	pushModes = map[string]push.Options{"plain": plainMode, "safe": safeMode}
)

func withPush(mode push.Options) func(*serverConfig) {
	return func(cfg *serverConfig) { cfg.pushes = map[string]push.Options{appID: mode} }
}

// pusher returns a WeChat that pushes to the server. Its users have the same openids as those of srv.sim.
func (srv *testServer) pusher(mode push.Options) *wechattest.Simulator {
	return srv.pusherAt(mode, srv.clock.Now)
}

// pusherAt is pusher with another clock.
func (srv *testServer) pusherAt(mode push.Options, now func() time.Time) *wechattest.Simulator {
	return wechattest.New(wechattest.Options{
		Apps: map[string]string{appID: secret, otherAppID: otherSecret}, Now: now,
		Pushes: map[string]wechattest.Push{
			appID:      {URL: srv.public.URL + "/wechatPush/" + appID, Token: mode.Token, EncodingAESKey: mode.EncodingAESKey},
			otherAppID: {URL: srv.public.URL + "/wechatPush/" + otherAppID, Token: mode.Token, EncodingAESKey: mode.EncodingAESKey},
		},
	})
}

// pushEvent pushes an event about the user of a device.
func (srv *testServer) pushEvent(mode push.Options, p *wechattest.Device, e wechattest.Event) wechattest.PushResponse {
	srv.t.Helper()
	response, err := srv.pusher(mode).Device(p.AppID(), wechattest.User{Name: nameOf(p), OpenID: p.OpenID()}).Push(srv.t.Context(), e)
	srv.must(err)
	fmt.Fprintln(srv.responses, response)
	return response
}

// nameOf returns the name of a device's user, which the profile has.
func nameOf(p *wechattest.Device) string { return p.GetUserInfo().UserInfo.NickName }

// wantSuccess checks that WeChat need not repeat a message.
func (srv *testServer) wantSuccess(response wechattest.PushResponse) {
	srv.t.Helper()
	if response != (wechattest.PushResponse{Status: http.StatusOK, Body: "success"}) {
		srv.t.Errorf("WeChat gets %d %s", response.Status, response.Body)
	}
}

// wantPushProblem checks that WeChat gets an error.
func (srv *testServer) wantPushProblem(response wechattest.PushResponse, status int, code string) {
	srv.t.Helper()
	if response.Status != status || !strings.Contains(response.Body, `"code":"`+code+`"`) {
		srv.t.Errorf("WeChat gets %d %s, want %d %s", response.Status, response.Body, status, code)
	}
}

func (srv *testServer) wantPushes(event, outcome, n string) {
	srv.t.Helper()
	if got := srv.metric(fmt.Sprintf(`wxlogin_wechat_pushes_total{event="%s",outcome="%s"}`, event, outcome)); got != n {
		srv.t.Errorf("%q messages with %s are %s, want %s", got, event, outcome, n)
	}
}

// left returns what is left of a user whom fill has filled.
func (srv *testServer) left(p *wechattest.Device) string {
	srv.t.Helper()
	return srv.queryText("SELECT MAX(CONCAT(IF(u.nickname = '', '', 'name '), IF(u.avatar_url = '', '', 'picture '), IF(u.phone_number IS NULL, '', 'phone'))) "+
		"FROM users u JOIN wechat_identities i ON i.user_id = u.id WHERE i.appid = ? AND i.openid = ?", p.AppID(), p.OpenID())
}

var personalEvents = []struct {
	name    string
	event   wechattest.Event
	left    string // of name, picture and phone; "" = the user is erased
	changes string // recorded
	outcome string
}{
	{"modified", wechattest.Event{Name: push.UserInfoModified}, "phone", "profile_removed", "applied"},
	{"revoked6", wechattest.Event{Name: push.AuthorizationRevoked, RevokeInfo: "6"}, "phone", "profile_removed", "applied"},
	{"revoked8", wechattest.Event{Name: push.AuthorizationRevoked, RevokeInfo: "8"}, "name picture ", "phone_removed", "applied"},
	{"revoked19", wechattest.Event{Name: push.AuthorizationRevoked, RevokeInfo: "19"}, "picture phone", "profile_removed", "applied"},
	{"revoked20", wechattest.Event{Name: push.AuthorizationRevoked, RevokeInfo: "20"}, "name phone", "profile_removed", "applied"},
	{"several", wechattest.Event{Name: push.AuthorizationRevoked, RevokeInfo: " 19,, 8,99"}, "picture ", "profile_removed,phone_removed", "applied"},
	{"unknown", wechattest.Event{Name: push.AuthorizationRevoked, RevokeInfo: "14,-8,x"}, "name picture phone", "", "ignored"},
	{"nothing", wechattest.Event{Name: push.AuthorizationRevoked}, "name picture phone", "", "ignored"},
	{"cancelled", wechattest.Event{Name: push.AuthorizationCancelled}, "", "erased", "applied"},
	{"no OpenID", wechattest.Event{Name: push.AuthorizationCancelled, NoOpenID: true}, "name picture phone", "", "ignored"},
}

func TestWechatPush_Events(t *testing.T) {
	for mode, options := range pushModes {
		for _, xml := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s mode, XML %v", mode, xml), func(t *testing.T) {
				srv := newTestServer(t, withPush(options))
				for _, tt := range personalEvents {
					p := srv.device(tt.name)
					srv.fill(p)
					id := srv.identityUser(p)
					if tt.name == "revoked8" { // what a blocked person asks for is done too
						_, err := srv.db.Exec("UPDATE users SET status = 2 WHERE id = ?", id)
						srv.must(err)
					}
					pictures := srv.pictures()
					tt.event.XML = xml
					srv.wantSuccess(srv.pushEvent(options, p, tt.event))
					if got := srv.left(p); got != tt.left {
						t.Errorf("%s: %q is left, want %q", tt.name, got, tt.left)
					}
					got := srv.queryText("SELECT GROUP_CONCAT(kind ORDER BY seq) FROM user_changes WHERE user_id = ? AND reason = 'wechat'", id)
					if got != tt.changes {
						t.Errorf("%s: %q is recorded, want %q", tt.name, got, tt.changes)
					}
					if tt.changes == "erased" {
						srv.wantErasedUser(id, "wechat")
					}
					wantFiles := len(pictures)
					if !strings.Contains(tt.left, "picture") {
						wantFiles--
					}
					srv.wantPictures(wantFiles)
				}
				srv.wantPushes(push.AuthorizationRevoked, "applied", "5")
				srv.wantPushes(push.AuthorizationRevoked, "ignored", "2")
				srv.wantPushes(push.AuthorizationCancelled, "applied", "1")
				srv.wantPushes(push.AuthorizationCancelled, "ignored", "1")
				srv.wantPushes(push.UserInfoModified, "applied", "1")
				srv.wantPushes("other", "ignored", "0")
			})
		}
	}
}

func TestWechatPush_Ignored(t *testing.T) {
	srv := newTestServer(t, withPush(safeMode))
	p := srv.device("alice")
	srv.fill(p)
	before := srv.rowOf(srv.identityUser(p))
	stranger := srv.device("stranger")
	for _, e := range personalEvents {
		srv.wantSuccess(srv.pushEvent(safeMode, stranger, e.event))
	}
	unusual := srv.sim.Device(appID, wechattest.User{Name: "unusual", OpenID: "微信"})
	srv.wantSuccess(srv.pushEvent(safeMode, unusual, wechattest.Event{Name: push.AuthorizationCancelled}))
	srv.wantSuccess(srv.pushEvent(safeMode, p, wechattest.Event{Name: "user_enter_tempsession"}))
	srv.wantSuccess(srv.pushEvent(safeMode, p, wechattest.Event{Name: strings.ToUpper(push.AuthorizationCancelled)}))
	for _, message := range []string{`{"MsgType":"text","Content":"hello","FromUserName":"` + p.OpenID() + `"}`, `{}`,
		`{"MsgType":"miniprogrampage","AppId":"wx0000000000000000","OpenID":"` + p.OpenID() + `"}`} {
		response, err := srv.pusher(safeMode).PushMessage(t.Context(), appID, []byte(message))
		srv.must(err)
		srv.wantSuccess(response)
	}
	if after := srv.rowOf(srv.identityUser(p)); after != before {
		t.Errorf("the row was %s, is %s", before, after)
	}
	srv.wantPushes("other", "ignored", "5")
	srv.wantPushes(push.AuthorizationCancelled, "ignored", "3")
	if n := srv.queryText("SELECT COUNT(*) FROM user_changes"); n != "0" {
		t.Errorf("%s changes are recorded", n)
	}
}

// What a person gave after an event stays when WeChat repeats the event: at once, and later, when no server remembers it.
func TestWechatPush_Repeated(t *testing.T) {
	for name, wait := range map[string]time.Duration{"within its second": 0, "later": time.Minute} {
		t.Run(name, func(t *testing.T) {
			srv := newTestServer(t, withPush(safeMode))
			p := srv.device("alice")
			srv.fill(p)
			removal := wechattest.Event{Name: push.AuthorizationRevoked, RevokeInfo: "6,8", CreatedAt: srv.clock.Now()}
			srv.wantSuccess(srv.pushEvent(safeMode, p, removal))
			if got := srv.left(p); got != "" || srv.identityUser(p) == "" {
				t.Fatalf("%q is left", got)
			}
			srv.advance(wait)
			if r := srv.updateManually(srv.fill(p), "nickName", "Alice"); r.status != http.StatusOK { // newer than the picture
				t.Fatalf("update: %d %s", r.status, r.body.Code)
			}
			removal.XML = wait != 0 // other bytes: a server that has not seen it
			srv.wantSuccess(srv.pushEvent(safeMode, p, removal))
			if got := srv.left(p); got != "name picture phone" {
				t.Errorf("repeated: %q is left", got)
			}

			cancellation := wechattest.Event{Name: push.AuthorizationCancelled, CreatedAt: srv.clock.Now()}
			srv.wantSuccess(srv.pushEvent(safeMode, p, cancellation))
			srv.advance(wait)
			token := srv.fill(p)
			cancellation.XML = wait != 0
			srv.wantSuccess(srv.pushEvent(safeMode, p, cancellation))
			if got := srv.left(p); got != "name picture phone" {
				t.Errorf("repeated: %q is left of the new account", got)
			}
			srv.wantValidToken(token)
			if n := srv.queryText("SELECT COUNT(*) FROM user_changes"); n != "3" {
				t.Errorf("%s changes are recorded", n)
			}
		})
	}
}

func TestWechatPush_Rejected(t *testing.T) {
	srv := newTestServer(t, withTwoApps, withPush(safeMode))
	p := srv.device("alice")
	srv.fill(p)
	before := srv.rowOf(srv.identityUser(p))
	cancelled := wechattest.Event{Name: push.AuthorizationCancelled}
	srv.wantPushProblem(srv.pushEvent(push.Options{Token: "another", EncodingAESKey: pushKey}, p, cancelled), 403, "forbidden")
	srv.wantPushProblem(srv.pushEvent(plainMode, p, cancelled), 403, "forbidden")
	srv.wantPushProblem(srv.pushEvent(push.Options{Token: pushToken, EncodingAESKey: "q" + pushKey[1:]}, p, cancelled), 400, "invalid_request")
	elsewhere := srv.sim.Device(otherAppID, wechattest.User{Name: "alice"})
	srv.wantPushProblem(srv.pushEvent(safeMode, elsewhere, cancelled), 404, "not_found")
	for _, message := range []string{`{"Event":`, "<xml>", "hello"} {
		response, err := srv.pusher(safeMode).PushMessage(t.Context(), appID, []byte(message))
		srv.must(err)
		srv.wantPushProblem(response, 400, "invalid_request")
	}
	foreign := strings.ReplaceAll(string(p.Message(cancelled)), appID, otherAppID)
	response, err := srv.pusher(safeMode).PushMessage(t.Context(), appID, []byte(foreign))
	srv.must(err)
	srv.wantPushProblem(response, 403, "forbidden")

	for _, late := range []time.Duration{-5*time.Minute - time.Second, 5*time.Minute + time.Second} {
		pusher := srv.pusherAt(safeMode, func() time.Time { return srv.clock.Now().Add(late) })
		response, err := pusher.PushMessage(t.Context(), appID, p.Message(cancelled))
		srv.must(err)
		srv.wantPushProblem(response, 403, "forbidden")
	}

	srv.wantPushes("other", "rejected", "4")
	srv.wantPushes(push.AuthorizationCancelled, "rejected", "1")
	srv.wantPushes("other", "malformed", "4")
	if after := srv.rowOf(srv.identityUser(p)); after != before {
		t.Errorf("the row was %s, is %s", before, after)
	}
	if n := srv.queryText("SELECT COUNT(*) FROM user_changes"); n != "0" {
		t.Errorf("%s changes are recorded", n)
	}
}

// pushedQuery returns the query of WeChat's check of the URL.
func pushedQuery(at time.Time, echo string) url.Values {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	return url.Values{
		"timestamp": {timestamp}, "nonce": {"n"}, "echostr": {echo}, "signature": {wechattest.SignPush(pushToken, timestamp, "n")},
	}
}

// getPush sends GET /wechatPush/{appid}.
func (srv *testServer) getPush(appID string, query url.Values) (status int, header http.Header, body string) {
	srv.t.Helper()
	res, err := http.Get(srv.public.URL + "/wechatPush/" + appID + "?" + query.Encode())
	srv.must(err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	srv.must(err)
	fmt.Fprintln(srv.responses, res.Header, string(b))
	return res.StatusCode, res.Header, string(b)
}

func TestWechatPush_CheckOfTheURL(t *testing.T) {
	for mode, options := range pushModes {
		t.Run(mode, func(t *testing.T) {
			srv := newTestServer(t, withTwoApps, withPush(options))
			now := srv.clock.Now()
			status, header, body := srv.getPush(appID, pushedQuery(now, "<b>4375120948345356249"))
			if status != http.StatusOK || body != "<b>4375120948345356249" || header.Get("Content-Type") != "text/plain; charset=utf-8" ||
				header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%d %s %v", status, body, header)
			}
			unsigned := pushedQuery(now, "e")
			unsigned.Del("signature")
			wrong := pushedQuery(now, "e")
			wrong.Set("nonce", "m")
			for name, tt := range map[string]struct {
				app    string
				query  url.Values
				status int
				code   string
			}{
				"old":          {appID, pushedQuery(now.Add(-5*time.Minute-time.Second), "e"), 403, "forbidden"},
				"future":       {appID, pushedQuery(now.Add(5*time.Minute+time.Second), "e"), 403, "forbidden"},
				"unsigned":     {appID, unsigned, 403, "forbidden"},
				"wrong":        {appID, wrong, 403, "forbidden"},
				"another app":  {otherAppID, pushedQuery(now, "e"), 404, "not_found"},
				"unknown app":  {"wxunknown", pushedQuery(now, "e"), 404, "not_found"},
				"no app":       {"", pushedQuery(now, "e"), 404, "not_found"},
				"without echo": {appID, url.Values{"signature": wrong["signature"], "timestamp": wrong["timestamp"], "nonce": {"n"}}, 400, "invalid_request"},
			} {
				status, _, body := srv.getPush(tt.app, tt.query)
				if status != tt.status || !strings.Contains(body, `"code":"`+tt.code+`"`) {
					t.Errorf("%s: %d %s", name, status, body)
				}
			}
		})
	}
}

// WeChat gets success only after the change is stored; otherwise it repeats the message.
func TestWechatPush_StorageUnavailable(t *testing.T) {
	t.Run("MySQL is down", func(t *testing.T) {
		srv := newTestServer(t, withPush(safeMode), func(cfg *serverConfig) { cfg.dsn = "root@tcp(127.0.0.1:1)/wxlogin" })
		for _, e := range []wechattest.Event{
			{Name: push.UserInfoModified}, {Name: push.AuthorizationRevoked, RevokeInfo: "8"}, {Name: push.AuthorizationCancelled},
		} {
			srv.wantPushProblem(srv.pushEvent(safeMode, srv.device("alice"), e), 503, "storage_unavailable")
			srv.wantPushes(e.Name, "failed", "1")
			srv.wantPushes(e.Name, "applied", "0")
		}
	})
	t.Run("the change cannot be recorded", func(t *testing.T) {
		srv := newTestServer(t, withPush(safeMode))
		p := srv.device("alice")
		srv.fill(p)
		id := srv.identityUser(p)
		before := srv.rowOf(id)
		_, err := srv.db.Exec("RENAME TABLE user_changes TO elsewhere")
		srv.must(err)
		event := wechattest.Event{Name: push.AuthorizationCancelled, CreatedAt: srv.clock.Now()}
		srv.wantPushProblem(srv.pushEvent(safeMode, p, event), 503, "storage_unavailable")
		if after := srv.rowOf(id); after != before {
			t.Errorf("the row was %s, is %s", before, after)
		}
		srv.wantPictures(1)
		_, err = srv.db.Exec("RENAME TABLE elsewhere TO user_changes")
		srv.must(err)
		srv.wantSuccess(srv.pushEvent(safeMode, p, event)) // repeated
		srv.wantErasedUser(id, "wechat")
	})
}

// endless is a body of zeros that counts what is read of it.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	clear(p)
	e.read += len(p)
	return len(p), nil
}

func TestWechatPush_TooLarge(t *testing.T) {
	srv := newTestServer(t, withPush(safeMode))
	for name, length := range map[string]int64{"of known length": 10 << 20, "in chunks": -1} {
		body := &endless{}
		req := httptest.NewRequest(http.MethodPost, "/wechatPush/"+appID+"?"+pushedQuery(srv.clock.Now(), "e").Encode(), body)
		req.ContentLength = length
		rec := httptest.NewRecorder()
		srv.public.Config.Handler.ServeHTTP(rec, req)
		if res := rec.Result(); res.StatusCode != http.StatusRequestEntityTooLarge || body.read > 256<<10 {
			t.Errorf("%s: %d, %d bytes were read", name, res.StatusCode, body.read)
		}
	}
	largest := `{"MsgType":"text","Content":"` + strings.Repeat("x", 40<<10) + `"}` // 60 KiB when encrypted
	response, err := srv.pusher(safeMode).PushMessage(t.Context(), appID, []byte(largest))
	srv.must(err)
	srv.wantSuccess(response)
}
