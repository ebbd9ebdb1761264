package client_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"wxlogin/client"
	"wxlogin/internal/config"
	"wxlogin/internal/testenv/servertest"
	"wxlogin/wechat/wechattest"
)

var (
	alice = wechattest.User{Name: "alice", OpenID: "oAlice", UnionID: "uAlice"}
	bob   = wechattest.User{Name: "bob", OpenID: "oBob"} // without a unionid
)

// system is a running login server and a Client of it.
type system struct {
	*servertest.Server
	client *client.Client
}

func startSystem(t *testing.T, change ...func(*config.Config)) *system {
	t.Helper()
	s := servertest.Start(t, change...)
	return &system{s, newClient(t, client.Options{BaseURL: s.Internal(), APIKey: servertest.APIKey, Timeout: time.Minute})}
}

// id returns the users.id of a user.
func (s *system) id(t *testing.T, user wechattest.User) (id uint64) {
	t.Helper()
	s.QueryRow(t, "SELECT user_id FROM wechat_identities WHERE appid = ? AND openid = ?",
		[]any{servertest.AppID, user.OpenID}, &id)
	return id
}

func TestClient_Introspect(t *testing.T) {
	s := startSystem(t)
	for _, user := range []wechattest.User{alice, bob} {
		t.Run("a token of "+user.Name, func(t *testing.T) {
			begin := time.Now()
			got, err := s.client.Introspect(t.Context(), s.Login(t, user))
			if err != nil {
				t.Fatal(err)
			}
			want := client.Token{
				UserID: s.id(t, user), AppID: servertest.AppID, OpenID: user.OpenID, UnionID: user.UnionID,
				IssuedAt: got.IssuedAt, ExpiresAt: got.IssuedAt.Add(servertest.IdleTTL),
			}
			// The server rounds both times to seconds, each on its own.
			if late := got.ExpiresAt.Sub(want.ExpiresAt); late >= 0 && late < time.Minute {
				want.ExpiresAt = got.ExpiresAt
			}
			if got != want || got.IssuedAt.Before(begin.Add(-time.Second)) || got.IssuedAt.After(time.Now()) {
				t.Errorf("%+v, want %+v", got, want)
			}
		})
	}
	for name, token := range map[string]string{"unknown": strings.Repeat("A", 43), "malformed": "x", "empty": ""} {
		t.Run("no token, "+name, func(t *testing.T) { s.wantInvalid(t, token) })
	}
	t.Run("logged out", func(t *testing.T) {
		token := s.Login(t, alice)
		s.Logout(t, token)
		s.wantInvalid(t, token)
	})
	t.Run("disabled", func(t *testing.T) {
		token := s.Login(t, bob)
		s.Exec(t, "UPDATE users SET status = 2 WHERE id = ?", s.id(t, bob))
		s.wantInvalid(t, token)
	})
	t.Run("another key", func(t *testing.T) {
		other := newClient(t, client.Options{BaseURL: s.Internal(), APIKey: "not-the-key-of-wxlogin", Timeout: time.Minute})
		_, err := other.Introspect(t.Context(), s.Login(t, alice))
		if !errors.Is(err, client.ErrAPIKey) || errors.Is(err, client.ErrInvalidToken) {
			t.Error(err)
		}
	})
	t.Run("the public listener", func(t *testing.T) {
		other := newClient(t, client.Options{BaseURL: s.Public(), APIKey: servertest.APIKey, Timeout: time.Minute})
		_, err := other.Introspect(t.Context(), s.Login(t, alice))
		if !errors.Is(err, client.ErrNotFound) || errors.Is(err, client.ErrInvalidToken) {
			t.Error(err)
		}
	})
}

// wantInvalid checks that a token is invalid.
func (s *system) wantInvalid(t *testing.T, token string) {
	t.Helper()
	if got, err := s.client.Introspect(t.Context(), token); !errors.Is(err, client.ErrInvalidToken) || got != (client.Token{}) {
		t.Errorf("%+v, %v", got, err)
	}
}

// A logout shows with the next call, and with a cache when its time is over. That is the price of a cache.
func TestClient_Introspect_CacheIsLate(t *testing.T) {
	s := startSystem(t)
	caching := newClient(t, client.Options{
		BaseURL: s.Internal(), APIKey: servertest.APIKey, Timeout: time.Minute, CacheTTL: client.MaxCacheTTL,
	})
	token := s.Login(t, alice)
	want, err := caching.Introspect(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	s.Logout(t, token)
	s.wantInvalid(t, token)
	if got, err := caching.Introspect(t.Context(), token); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestClient_Erase(t *testing.T) {
	s := startSystem(t)
	token := s.Login(t, alice)
	id := s.id(t, alice)
	for range 2 { // it may be repeated
		if err := s.client.Erase(t.Context(), id, "asked by letter"); err != nil {
			t.Fatal(err)
		}
	}
	s.wantInvalid(t, token)
	var status, identities, erasures int
	var note string
	s.QueryRow(t, "SELECT status FROM users WHERE id = ?", []any{id}, &status)
	s.QueryRow(t, "SELECT COUNT(*) FROM wechat_identities WHERE user_id = ?", []any{id}, &identities)
	s.QueryRow(t, "SELECT COUNT(*), MAX(note) FROM user_changes WHERE user_id = ? AND kind = 'erased'", []any{id}, &erasures, &note)
	if status != 4 || identities != 0 || erasures != 1 || note != "asked by letter" {
		t.Errorf("status %d, %d identities, %d erasures, note %q", status, identities, erasures, note)
	}
	if err := s.client.Erase(t.Context(), id+1000, ""); !errors.Is(err, client.ErrNotFound) {
		t.Error(err)
	}
}

// What changes users needs a key, even where the server asks none for tokens.
func TestClient_ServerWithoutAKey(t *testing.T) {
	s := startSystem(t, func(c *config.Config) { c.InternalAPIKey = "" })
	token := s.Login(t, alice)
	if _, err := s.client.Introspect(t.Context(), token); err != nil {
		t.Error(err)
	}
	if err := s.client.Erase(t.Context(), s.id(t, alice), ""); !errors.Is(err, client.ErrAPIKey) {
		t.Error(err)
	}
	if _, err := s.client.Introspect(t.Context(), token); err != nil {
		t.Errorf("the user is gone: %v", err)
	}
}
