package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"wxlogin/wechat/wechattest"
)

// visitor is a browser with the page open: it does what the page's scripts do.
type visitor struct {
	t    *testing.T
	s    *stack
	id   string
	seen []string // every secret that it, the simulator or the server had
}

func startPage(t *testing.T) *stack {
	t.Helper()
	const free = "127.0.0.1:0"
	s, err := startStack(t.Context(), options{public: free, internal: free, mysql: free, redis: free, wxsim: free, page: free}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *stack) visitor(t *testing.T, id string) *visitor {
	v := &visitor{t: t, s: s, id: id}
	for _, appID := range []string{wechattest.DemoAppID, secondAppID} {
		v.keep(s.wechat.Device(appID, wechattest.User{Name: id}))
	}
	return v
}

// keep remembers the secrets of a phone as they are now.
func (v *visitor) keep(p *wechattest.Device) {
	v.seen = append(v.seen, p.OpenID(), p.SessionKey(), p.PhoneNumber())
}

func (v *visitor) url(path string) string { return v.s.pageURL + "/phones/" + v.id + path }

func (v *visitor) do(req *http.Request, into any) int {
	v.t.Helper()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer res.Body.Close()
	if into != nil {
		if err := json.NewDecoder(res.Body).Decode(into); err != nil {
			v.t.Fatal(err)
		}
	}
	return res.StatusCode
}

func (v *visitor) post(path string, form url.Values, into any) int {
	v.t.Helper()
	req, err := http.NewRequest(http.MethodPost, v.url(path), strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return v.do(req, into)
}

// login logs in to a mini-program, and keeps code and token among the secrets.
func (v *visitor) login(appID string) (a answer) {
	v.t.Helper()
	var phone struct{ Code string }
	v.post("/wechat/sim/login?appid="+appID, nil, &phone)
	v.post("/server/onLogin", url.Values{"code": {phone.Code}, "appid": {appID}}, &a)
	v.seen = append(v.seen, phone.Code)
	if a.Token != "" {
		v.seen = append(v.seen, a.Token)
	}
	return a
}

func (v *visitor) fault(kind string) {
	v.t.Helper()
	if status := v.post("/faults/"+kind, nil, nil); status != http.StatusNoContent {
		v.t.Fatalf("the fault %s: %d", kind, status)
	}
}

// shown is an event as the page shows it.
type shown struct {
	ID                      int
	Type, Kind, Label, Note string
	Exchange, Status        int
	Data                    map[string]any
}

func (e shown) line() string {
	switch e.Type {
	case "note":
		return "note " + e.Note
	case "answer":
		return fmt.Sprintf("%s answer %d", e.Kind, e.Status)
	}
	return e.Kind + " " + e.Label
}

func (e shown) field(name string) string { return fmt.Sprint(e.Data[name]) }

// events reads what there is until now: a note marks the end.
func (v *visitor) events() []shown {
	v.t.Helper()
	v.fault("secondapp")
	res, err := http.Get(v.url("/events"))
	if err != nil {
		v.t.Fatal(err)
	}
	defer res.Body.Close()
	var events []shown
	var text strings.Builder
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		data, found := strings.CutPrefix(lines.Text(), "data: ")
		if !found {
			continue
		}
		text.WriteString(data)
		var e shown
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			v.t.Fatal(err)
		}
		if e.Note == "secondapp" {
			break
		}
		events = append(events, e)
	}
	v.holdsNoSecret("an event", text.String())
	return events
}

func (v *visitor) holdsNoSecret(what, text string) {
	v.t.Helper()
	for i, secret := range append(v.seen, wechattest.DemoSecret, secondSecret, pushToken, pushKey) {
		if strings.Contains(text, secret) {
			v.t.Errorf("%s holds the secret number %d", what, i)
		}
	}
}

// state reads what the page shows of the databases.
func (v *visitor) state() (columns map[string]string, keys []string) {
	v.t.Helper()
	req, err := http.NewRequest(http.MethodGet, v.url("/state"), nil)
	if err != nil {
		v.t.Fatal(err)
	}
	var raw json.RawMessage
	v.do(req, &raw)
	v.holdsNoSecret("the state", string(raw))
	var s struct {
		MySQL []struct{ Name, Value string }
		Redis []struct{ Key, Value string }
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		v.t.Fatal(err)
	}
	columns = map[string]string{}
	for _, c := range s.MySQL {
		columns[c.Name] = c.Value
	}
	for _, k := range s.Redis {
		keys = append(keys, k.Key)
	}
	return columns, keys
}

func lines(events []shown) []string {
	var all []string
	for _, e := range events {
		all = append(all, e.line())
	}
	return all
}

// upload sends a picture as wx.uploadFile does.
func (v *visitor) upload(token string, into any) int {
	v.t.Helper()
	var file wechattest.TempFile
	v.post("/wechat/sim/chooseavatar", nil, &file)
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", "a.jpeg")
	if err != nil {
		v.t.Fatal(err)
	}
	part.Write(file.Data)
	form.Close()
	req, err := http.NewRequest(http.MethodPost, v.url("/server/uploadAvatar"), &body)
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("Content-Type", form.FormDataContentType())
	req.Header.Set("Authorization", "Bearer "+token)
	return v.do(req, into)
}

func TestPage_shows_what_crosses_the_wire(t *testing.T) {
	s := startPage(t)
	ann, bob := s.visitor(t, "ann"), s.visitor(t, "bob")
	a := ann.login(wechattest.DemoAppID)
	if a.Status != http.StatusOK || !a.IsNewUser {
		t.Fatalf("status %d", a.Status)
	}
	bob.login(wechattest.DemoAppID)
	events := ann.events()
	want := []string{
		"wx wx.login()", "wx answer 200",
		"http POST /onLogin", "wechat GET /sns/jscode2session", "wechat answer 200", "http answer 200",
	}
	if got := lines(events); !slices.Equal(got, want) {
		t.Fatalf("got %q", got)
	}
	code := events[1].field("code")
	if code != "<code 1>" || events[2].field("code") != code || events[3].field("js_code") != code {
		t.Error("a code has several names")
	}
	if events[3].Exchange == events[2].Exchange || events[5].Exchange != events[2].Exchange {
		t.Error("answers do not belong to their requests")
	}
	if events[5].field("isNewUser") != "true" || events[5].field("token") != "<token 1>" || events[3].field("secret") != "<AppSecret 1>" {
		t.Error("fields are missing")
	}
}

func TestPage_shows_what_is_stored(t *testing.T) {
	s := startPage(t)
	ann := s.visitor(t, "ann")
	if columns, keys := ann.state(); len(columns) != 0 || len(keys) != 0 {
		t.Fatalf("before any login there is %v, %v", columns, keys)
	}
	a := ann.login(wechattest.DemoAppID)
	var uploaded struct{ AvatarURL string }
	if status := ann.upload(a.Token, &uploaded); status != http.StatusOK {
		t.Fatalf("upload: %d", status)
	}
	ann.post("/server/updateUserInfo", url.Values{"token": {a.Token}, "nickName": {"安"}}, nil)
	var phone struct{ Code string }
	ann.post("/wechat/sim/phonecode", nil, &phone)
	ann.seen = append(ann.seen, phone.Code)
	ann.post("/server/bindPhone", url.Values{"token": {a.Token}, "code": {phone.Code}}, nil)

	columns, keys := ann.state()
	for name, want := range map[string]string{
		"nickname": "安", "avatar_url": strings.TrimPrefix(uploaded.AvatarURL, s.pageURL), "phone_bound": "yes", "profile_complete": "yes", "profile_source": "person",
		"identities": wechattest.DemoAppID + ":<openid 1>", "unionid": "<unionid 1>",
	} {
		if columns[name] != want {
			t.Errorf("%s is %q, want %q", name, columns[name], want)
		}
	}
	wantKeys := []string{
		"wxlogin:sessions:" + wechattest.DemoAppID + ":<openid 1>", "wxlogin:session:<SHA-256 of token 1>",
		"wxlogin:access_token:" + wechattest.DemoAppID,
	}
	if !slices.Equal(keys, wantKeys) {
		t.Errorf("Redis holds %q", keys)
	}
	got := lines(ann.events())
	if !slices.Contains(got, "wechat POST /cgi-bin/stable_token") || !slices.Contains(got, "wechat POST /wxa/business/getuserphonenumber") {
		t.Errorf("the log lacks calls of WeChat: %q", got)
	}
	if status := ann.do(newRequest(t, uploaded.AvatarURL), nil); status != http.StatusOK || !strings.HasPrefix(uploaded.AvatarURL, s.pageURL) {
		t.Errorf("the picture: %d", status)
	}
}

// The person withdraws nickname, avatar and phone number in WeChat's settings of the second mini-program, which goes for
// both.
func TestPage_pushes_a_withdrawn_consent(t *testing.T) {
	s := startPage(t)
	ann, bob := s.visitor(t, "ann"), s.visitor(t, "bob")
	for _, v := range []*visitor{ann, bob} {
		token := v.login(wechattest.DemoAppID).Token
		v.login(secondAppID)
		v.post("/server/updateUserInfo", url.Values{"token": {token}, "nickName": {"安"}, "avatarUrl": {"https://a.example/1"}}, nil)
		var phone struct{ Code string }
		v.post("/wechat/sim/phonecode", nil, &phone)
		v.seen = append(v.seen, phone.Code)
		v.post("/server/bindPhone", url.Values{"token": {token}, "code": {phone.Code}}, nil)
		if columns, _ := v.state(); columns["nickname"] != "安" || columns["phone_bound"] != "yes" {
			t.Fatalf("before: %v", columns)
		}
	}
	ann.fault("withdraw?appid=" + secondAppID)
	columns, keys := ann.state()
	if columns["nickname"] != "" || columns["avatar_url"] != "" || columns["phone_bound"] != "no" || columns["status"] != "active" {
		t.Errorf("after: %v", columns)
	}
	if len(keys) < 4 {
		t.Errorf("the sessions have ended: %q", keys)
	}
	if columns, _ := bob.state(); columns["nickname"] != "安" || columns["phone_bound"] != "yes" {
		t.Errorf("bob: %v", columns)
	}
	events := ann.events()
	events = events[slices.IndexFunc(events, func(e shown) bool { return e.Type == "note" }):]
	want := []string{"note withdraw", "push POST /wechatPush/" + secondAppID, "push answer 200"}
	if got := lines(events); !slices.Equal(got, want) {
		t.Fatalf("got %q", got)
	}
	opened, _ := events[1].Data["(decrypted)"].(map[string]any)
	if opened["Event"] != "user_authorization_revoke" || opened["RevokeInfo"] != "6,8" || opened["OpenID"] != "<openid 2>" {
		t.Errorf("the event is %v", opened)
	}
	if encrypted := events[1].field("Encrypt"); encrypted != "<Encrypt 1>" || events[1].field("msg_signature") != "<msg_signature 1>" {
		t.Errorf("the request is %v", events[1].Data)
	}
}

func newRequest(t *testing.T, address string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func TestPage_brings_about_what_goes_wrong(t *testing.T) {
	s := startPage(t)
	ann, bob := s.visitor(t, "ann"), s.visitor(t, "bob")
	token, others := ann.login(wechattest.DemoAppID).Token, bob.login(wechattest.DemoAppID).Token
	update := func() (a answer) {
		var data wechattest.OpenData
		ann.post("/wechat/sim/userinfo", nil, &data)
		ann.post("/server/updateUserInfo", url.Values{"token": {token}, "encryptedData": {data.EncryptedData}, "iv": {data.IV}}, &a)
		return a
	}

	ann.fault("newkey")
	ann.keep(s.wechat.Device(wechattest.DemoAppID, wechattest.User{Name: "ann"}))
	if a := update(); a.Code != "undecryptable" {
		t.Errorf("newkey: %d %s", a.Status, a.Code)
	}
	ann.fault("expire")
	if a := update(); a.Code != "invalid_token" {
		t.Errorf("expire: %d %s", a.Status, a.Code)
	}
	if status := bob.post("/server/updateUserInfo", url.Values{"token": {others}, "nickName": {"bob"}}, nil); status != http.StatusOK {
		t.Errorf("bob's session: %d", status)
	}
	ann.fault("codetwice")
	if a := ann.login(wechattest.DemoAppID); a.Code != "invalid_code" || a.Action != "relogin" {
		t.Errorf("codetwice: %d %s", a.Status, a.Code)
	}
	if a := ann.login(wechattest.DemoAppID); a.Status != http.StatusOK {
		t.Errorf("the login after codetwice: %d", a.Status)
	}
	ann.fault("busy")
	if a := bob.login(wechattest.DemoAppID); a.Status != http.StatusOK {
		t.Errorf("bob's login while WeChat is busy for Ann: %d", a.Status)
	}
	if a := ann.login(wechattest.DemoAppID); a.Code != "wechat_unavailable" || a.Action != "retry" {
		t.Errorf("busy: %d %s", a.Status, a.Code)
	}
	if a := ann.login(wechattest.DemoAppID); a.Status != http.StatusOK {
		t.Errorf("the login after busy: %d", a.Status)
	}
	if a := ann.login(secondAppID); a.Status != http.StatusOK || a.IsNewUser {
		t.Errorf("the second mini-program: %d", a.Status)
	}
	ann.fault("block")
	if a := ann.login(wechattest.DemoAppID); a.Code != "user_blocked" {
		t.Errorf("block: %d %s", a.Status, a.Code)
	}
	ann.fault("unblock")
	ann.fault("limit")
	if a := ann.login(wechattest.DemoAppID); a.Code != "rate_limited" || a.Action != "retry" {
		t.Errorf("limit: %d %s", a.Status, a.Code)
	}
	if a := bob.login(wechattest.DemoAppID); a.Status != http.StatusOK {
		t.Errorf("bob's login, in another network: %d", a.Status)
	}
	ann.fault("newnetwork")
	token = ann.login(wechattest.DemoAppID).Token
	for _, kind := range []string{"awayredis", "awaymysql"} {
		ann.fault(kind)
		if a := update(); a.Code != "storage_unavailable" || a.Action != "retry" {
			t.Errorf("%s: %d %s", kind, a.Status, a.Code)
		}
		if a := update(); a.Status != http.StatusOK {
			t.Errorf("the update after %s: %d", kind, a.Status)
		}
	}
	ann.fault("withdraw")
	told := lines(ann.events())
	for _, note := range []string{"newkey", "expire", "codetwice", "busy", "block", "limit", "awayredis", "awaymysql", "withdraw"} {
		if !slices.Contains(told, "note "+note) {
			t.Errorf("the log lacks %s", note)
		}
	}
}
