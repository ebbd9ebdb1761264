package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"wxlogin/session"
	"wxlogin/wechat/wechattest"
)

// walk is one mini-program's way through the two-phase login. The parts of a step are the phone's call, the request, the
// answer, and what is in the databases then.
type walk struct {
	*stack
	out   printer
	phone *wechattest.Device
	code  string // of the latest wx.login
	token string // of the latest login
}

func (w *walk) run(ctx context.Context) error {
	w.phone = w.wechat.Device(wechattest.DemoAppID, wechattest.User{Name: "alice", Info: wechattest.Info{
		NickName: "Alice 🐼", Gender: 2, Language: "zh_CN", City: "Guangzhou", Province: "Guangdong", Country: "China",
		AvatarURL: "https://thirdwx.qlogo.cn/mmopen/vi_32/alice/132",
	}})
	w.out.intro()
	steps := []struct {
		title string
		do    func(context.Context) error
	}{
		{"Alice opens the mini-program: phase one, no dialog", w.firstLogin},
		{"Alice taps \"use my WeChat profile\": phase two", w.update},
		{"Alice comes back: the profile is there already", w.secondLogin},
		{"Two pages log in at once: data under the newer session_key, the older token", w.race},
		{"A newer release gets only WeChat's placeholder: nothing is overwritten", w.anonymous},
		{"A code is used twice, a token is made up: the answer says what helps", w.refusals},
	}
	for i, s := range steps {
		w.out.heading(i+1, s.title)
		if err := s.do(ctx); err != nil {
			w.out.failed(err)
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	w.out.done(len(steps))
	return nil
}

// login is wx.login and POST /onLogin.
func (w *walk) login(ctx context.Context) (answer, error) {
	w.code = w.phone.Login()
	w.out.phone("wx.login()", "code", w.code)
	a, err := w.post(ctx, "/onLogin", url.Values{"code": {w.code}})
	if err == nil && a.Status == 200 {
		w.token = a.Token
	}
	return a, err
}

// want returns err, or an error that says what was expected if the expectation is not met.
func want(err error, met bool, expected string) error {
	if err == nil && !met {
		return errors.New("want " + expected)
	}
	return err
}

func (w *walk) firstLogin(ctx context.Context) error {
	a, err := w.login(ctx)
	isNew := a.Status == 200 && len(a.Token) == 43 && a.IsNewUser && !a.ProfileComplete && a.UserInfo.NickName == ""
	if err := want(err, isNew, "a token for a new user without a profile"); err != nil {
		return err
	}
	if err := w.showUser(ctx); err != nil {
		return err
	}
	return w.showRedis(ctx)
}

// send is a wx.getUserInfo and POST /updateUserInfo.
func (w *walk) send(ctx context.Context, call, token string, data wechattest.OpenData) (answer, error) {
	w.out.phone(call, "encryptedData", data.EncryptedData, "iv", data.IV, "rawData", data.RawData, "signature", data.Signature)
	return w.post(ctx, "/updateUserInfo", url.Values{
		"token": {token}, "encryptedData": {data.EncryptedData}, "iv": {data.IV},
		"rawData": {data.RawData}, "signature": {data.Signature},
	})
}

func (w *walk) update(ctx context.Context) error {
	a, err := w.send(ctx, "wx.getUserInfo()", w.token, w.phone.GetUserInfo())
	filled := a.Status == 200 && a.ProfileComplete && a.UserInfo.NickName == "Alice 🐼"
	if err := want(err, filled, "the profile filled in"); err != nil {
		return err
	}
	return w.showUser(ctx)
}

func (w *walk) secondLogin(ctx context.Context) error {
	a, err := w.login(ctx)
	returning := a.Status == 200 && !a.IsNewUser && a.ProfileComplete && a.UserInfo.NickName == "Alice 🐼"
	return want(err, returning, "a returning user with the profile filled in")
}

// race is the most reported failure of hand-written logins: a second wx.login replaces the session_key while data made
// under the first, or for the first token, is on its way.
func (w *walk) race(ctx context.Context) error {
	older := w.token
	w.phone.NewSessionKey()
	if _, err := w.login(ctx); err != nil {
		return err
	}
	a, err := w.send(ctx, "wx.getUserProfile()", older, w.phone.GetUserProfile())
	opened := a.Status == 200 && a.UserInfo.NickName == "Alice 🐼"
	return want(err, opened, "the data opened with the key of the user's other session")
}

func (w *walk) anonymous(ctx context.Context) error {
	a, err := w.send(ctx, "wx.getUserInfo()", w.token, w.phone.GetPlaceholder())
	kept := a.Status == 200 && a.Anonymous && a.ProfileComplete && a.UserInfo.NickName == "Alice 🐼" && a.UserInfo.Gender == 2
	if err := want(err, kept, "the stored profile kept, and anonymous: true"); err != nil {
		return err
	}
	return w.showUser(ctx)
}

func (w *walk) refusals(ctx context.Context) error {
	a, err := w.post(ctx, "/onLogin", url.Values{"code": {w.code}})
	refused := a.Status == 400 && a.Code == "invalid_code" && a.Action == "relogin"
	if err := want(err, refused, "400 invalid_code, relogin"); err != nil {
		return err
	}
	data := w.phone.GetUserInfo()
	a, err = w.post(ctx, "/updateUserInfo", url.Values{
		"token": {"made-up"}, "encryptedData": {data.EncryptedData}, "iv": {data.IV},
	})
	refused = a.Status == 401 && a.Code == "invalid_token" && a.Action == "relogin"
	return want(err, refused, "401 invalid_token, relogin")
}

// answer holds what the walk looks at in the server's responses, of success and of failure.
type answer struct {
	Status          int    `json:"status"`
	Token           string `json:"token"`
	IsNewUser       bool   `json:"isNewUser"`
	ProfileComplete bool   `json:"profileComplete"`
	Anonymous       bool   `json:"anonymous"`
	UserInfo        struct {
		NickName string `json:"nickName"`
		Gender   int    `json:"gender"`
	} `json:"userInfo"`
	Code   string `json:"code"`
	Action string `json:"action"`
}

// post sends a form as wx.request does, and prints the request and the response.
func (w *walk) post(ctx context.Context, path string, form url.Values) (answer, error) {
	w.out.request(path, form)
	target := "http://" + w.server.PublicAddr() + path
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(form.Encode()))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{}, err
	}
	w.out.answer(res.Status, body)
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		return answer{}, fmt.Errorf("the response is not JSON: %w", err)
	}
	if a.Status != res.StatusCode {
		return answer{}, fmt.Errorf("the body says status %d, HTTP says %d", a.Status, res.StatusCode)
	}
	return a, nil
}

// shownColumns are the columns of user_profiles that the walk prints.
var shownColumns = []string{
	"id", "identities", "nickname", "avatar_url", "gender", "place", "language", "status", "profile_complete",
}

// showUser prints the user's row in MySQL.
func (w *walk) showUser(ctx context.Context) error {
	row, err := w.storage.User(ctx, shownColumns)
	if err := want(err, row != nil, "a user in MySQL"); err != nil {
		return err
	}
	w.out.row("user_profiles", row)
	var users int
	err = w.storage.MySQL.QueryRowContext(ctx, "SELECT COUNT(*) FROM users").Scan(&users)
	return want(err, users == 1, "one user in MySQL")
}

// showRedis prints every key of sessions with what can be seen of its value.
func (w *walk) showRedis(ctx context.Context) error {
	keys, err := w.storage.Keys(ctx, session.DefaultKeyPrefix+"session*")
	for _, key := range keys {
		w.out.key(key)
	}
	return want(err, len(keys) > 0, "a session in Redis")
}
