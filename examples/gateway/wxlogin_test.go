package gateway_test

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"wxlogin/internal/testenv/servertest"
	"wxlogin/wechat/wechattest"
)

const (
	appID   = servertest.AppID
	apiKey  = servertest.APIKey
	idleTTL = servertest.IdleTTL
)

// login is a running wxlogin with everything that it needs.
type login struct{ *servertest.Server }

func startLogin(t *testing.T) login { return login{servertest.Start(t)} }

// identity is what a service learns of a user.
type identity struct{ UserID, OpenID, AppID, UnionID string }

// inMySQL returns what the database has of a user.
func (l login) inMySQL(t *testing.T, user wechattest.User) identity {
	t.Helper()
	id := identity{AppID: appID, OpenID: user.OpenID}
	l.QueryRow(t, `SELECT u.id, COALESCE(u.unionid, '') FROM wechat_identities i JOIN users u ON u.id = i.user_id
		WHERE i.appid = ? AND i.openid = ?`, []any{appID, user.OpenID}, &id.UserID, &id.UnionID)
	return id
}

// disable does what README says about blocking a user.
func (l login) disable(t *testing.T, user wechattest.User) {
	t.Helper()
	l.Exec(t, "UPDATE users SET status = 2 WHERE id = ?", l.inMySQL(t, user).UserID)
}

// wantRenewed checks that a request to a service sets the session's idle expiry back.
func (l login) wantRenewed(t *testing.T, service string) {
	t.Helper()
	token := l.Login(t, wechattest.User{Name: "carol"})
	l.Redis.FastForward(t, idleTTL/2)
	request{path: "/me", token: token}.to(t, service).wantOK(t, new(identity))
	left := time.Duration(0)
	for key := range l.Redis.Dump(t) {
		if strings.HasPrefix(key, "wxlogin:session:") {
			left = max(left, l.Redis.TTL(t, key))
		}
	}
	if left < idleTTL-time.Minute {
		t.Errorf("%v left", left)
	}
}

// answer is what a client gets.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// problem is the body of a refusal.
type problem struct {
	Type, Title, Detail, Code, Action string
	Status                            int
}

// request is what a client sends; by GET, unless a method is set.
type request struct {
	method, path, token string
	header              http.Header
	body                string
}

func (r request) to(t *testing.T, base string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), r.method, base+r.path, strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return readAnswer(t, res)
}

func readAnswer(t *testing.T, res *http.Response) answer {
	t.Helper()
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, body}
}

// wantProblem checks that an answer is this problem, complete, as README describes it.
func (a answer) wantProblem(t *testing.T, status int, code, action string) {
	t.Helper()
	var p problem
	if err := json.Unmarshal(a.body, &p); err != nil {
		t.Fatalf("status %d, %v: %s", a.status, err, a.body)
	}
	if a.status != status || p.Status != status || p.Code != code || p.Action != action {
		t.Errorf("status %d %+v, want %d %s %s", a.status, p, status, code, action)
	}
	if media, _, err := mime.ParseMediaType(a.header.Get("Content-Type")); err != nil || media != "application/problem+json" {
		t.Errorf("Content-Type %q", a.header["Content-Type"])
	}
	if p.Type == "" || p.Title == "" || p.Detail == "" {
		t.Errorf("the problem is not complete: %+v", p)
	}
	var challenge []string // the mini-program's client logs in because of it
	if status == http.StatusUnauthorized {
		challenge = []string{"Bearer"}
	}
	if got := a.header.Values("WWW-Authenticate"); !slices.Equal(got, challenge) {
		t.Errorf("status %d has WWW-Authenticate %q", status, got)
	}
	seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
	if retry := action == "retry"; retry != (err == nil && seconds > 0) {
		t.Errorf("action %s has Retry-After %q", action, a.header["Retry-After"])
	}
}

// wantOK reads the body of an answer 200.
func (a answer) wantOK(t *testing.T, into any) {
	t.Helper()
	if err := json.Unmarshal(a.body, into); err != nil || a.status != http.StatusOK {
		t.Fatalf("status %d, %v", a.status, err)
	}
}
