package handlers_test

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"testing"

	"wxlogin/handlers"
	"wxlogin/session"
	"wxlogin/store"
)

// hookedUsers calls between after a login has found its user.
type hookedUsers struct {
	handlers.Users
	between func()
}

func (h *hookedUsers) Login(ctx context.Context, id store.Identity) (store.User, bool, error) {
	user, created, err := h.Users.Login(ctx, id)
	h.between()
	return user, created, err
}

// createHook calls between after a session was created.
type createHook struct {
	handlers.Sessions
	between func()
}

func (h *createHook) Create(ctx context.Context, sess session.Session) (string, error) {
	token, err := h.Sessions.Create(ctx, sess)
	h.between()
	return token, err
}

// A login beside an erase leaves no session of the erased user: either the erase ends it, or it is of a new user.
func TestErase_BesideLogin(t *testing.T) {
	for name, tt := range map[string]struct {
		afterCreate bool // the erase runs between session and user, or else after both
		users       string
	}{
		"after the session is created": {true, "1"},
		"after the user is found":      {false, "0"},
	} {
		t.Run(name, func(t *testing.T) {
			erase := func() {}
			once := func() { erase() }
			srv := newTestServer(t, withAPIKey, func(cfg *serverConfig) {
				if tt.afterCreate {
					cfg.wrapSessions = func(s handlers.Sessions) handlers.Sessions { return &createHook{s, once} }
				} else {
					cfg.wrapUsers = func(u handlers.Users) handlers.Users { return &hookedUsers{u, once} }
				}
			})
			p := srv.device("alice")
			old := srv.fill(p)
			id := srv.identityUser(p)
			erase = func() {
				erase = func() {}
				if a := srv.deleteUser(id, "r"); a.status != http.StatusOK {
					t.Errorf("erase: %d %s", a.status, a.raw)
				}
			}
			token := srv.login(p).Token
			srv.wantErasedUser(id, "admin")
			srv.wantKeys(0)
			srv.wantInvalidToken(token)
			srv.wantInvalidToken(old)
			if n := srv.queryText("SELECT COUNT(*) FROM wechat_identities"); n != tt.users {
				t.Errorf("%s identities are left, want %s", n, tt.users)
			}
			again := srv.login(p)
			if again.IsNewUser == tt.afterCreate || srv.identityUser(p) == id || again.PhoneNumber != "" {
				t.Errorf("the next login: %+v", again)
			}
			srv.wantValidToken(again.Token)
		})
	}
}

// Many logins and erases of one person at once: a token that was valid for an erased user is not valid any more.
func TestErase_Concurrent(t *testing.T) {
	const rounds = 12
	srv := newTestServer(t, withAPIKey)
	p := srv.device("alice")
	var mu sync.Mutex
	var tokens []string
	var ended sync.WaitGroup
	post := func(path string, form url.Values) body {
		res, err := http.PostForm(srv.public.URL+path, form)
		if err != nil {
			t.Error(err)
			return body{}
		}
		defer res.Body.Close()
		return decode(t, res)
	}
	for i := range 4 {
		ended.Go(func() {
			for range rounds {
				b := post("/onLogin", url.Values{"code": {p.Login()}})
				if b.Status != http.StatusOK {
					t.Errorf("login: %d %s", b.Status, b.Code)
				}
				mu.Lock()
				tokens = append(tokens, b.Token)
				mu.Unlock()
				if i%2 == 0 {
					b = post("/deleteAccount", url.Values{"token": {b.Token}, "confirm": {"delete"}})
					if b.Status != http.StatusOK && b.Status != http.StatusUnauthorized {
						t.Errorf("erase: %d %s", b.Status, b.Code)
					}
				}
			}
		})
	}
	ended.Wait()
	if r := srv.deleteAccount(srv.login(p).Token); r.status != http.StatusOK {
		t.Fatalf("the last erase: %d %s", r.status, r.body.Code)
	}
	srv.wantKeys(0)
	for _, token := range tokens {
		srv.wantInvalidToken(token)
	}
	if n := srv.queryText("SELECT COUNT(*) FROM wechat_identities"); n != "0" {
		t.Errorf("%s identities are left", n)
	}
	users := srv.queryText("SELECT COUNT(*) FROM users")
	if n := srv.queryText("SELECT COUNT(*) FROM users u JOIN user_changes c ON c.user_id = u.id WHERE u.status = 4 AND c.kind = 'erased'"); n != users {
		t.Errorf("%s users, %s of them erased", users, n)
	}
	if n, _ := strconv.Atoi(users); n < 2 {
		t.Errorf("only %d users were made", n)
	}
}
