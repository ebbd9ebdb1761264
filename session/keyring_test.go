package session_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"wxlogin/session"
)

// key returns a session_key: 16 bytes in base64.
func key(n int) string { return fmt.Sprintf("%022d==", n) }

func TestStore_OtherSessionKeys(t *testing.T) {
	ctx := context.Background()
	others := func(t *testing.T, f *fixture, token string) []string {
		t.Helper()
		keys, err := f.OtherSessionKeys(ctx, f.mustFind(t, token))
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}

	t.Run("older and newer ones newest first", func(t *testing.T) {
		f := newFixture(t)
		f.login(t, openID, key(1))
		token := f.login(t, openID, key(2))
		f.login(t, openID, key(3))
		if got := others(t, f, token); !slices.Equal(got, []string{key(3), key(1)}) {
			t.Errorf("%d keys, want the newer and then the older one", len(got))
		}
	})

	t.Run("each once and three at most", func(t *testing.T) {
		f := newFixture(t)
		token := f.login(t, openID, key(0))
		for n := range 5 {
			f.login(t, openID, key(n))
			f.login(t, openID, key(n))
		}
		if got := others(t, f, token); !slices.Equal(got, []string{key(4), key(3), key(2)}) {
			t.Errorf("%d keys, want the newest three", len(got))
		}
	})

	t.Run("none of another user", func(t *testing.T) {
		f := newFixture(t)
		f.login(t, "ogzui0egbjy1zhbyw2khdufwvjje", key(1))
		if got := others(t, f, f.login(t, openID, key(2))); len(got) != 0 {
			t.Errorf("%d keys of another user", len(got))
		}
	})

	t.Run("none of an ended session", func(t *testing.T) {
		f := newFixture(t)
		if err := f.Revoke(ctx, f.login(t, openID, key(1))); err != nil {
			t.Fatal(err)
		}
		f.login(t, openID, key(2))
		f.advance(t, session.DefaultIdleTTL)
		if got := others(t, f, f.login(t, openID, key(3))); len(got) != 0 {
			t.Errorf("%d keys of ended sessions", len(got))
		}
	})

	t.Run("does not prolong", func(t *testing.T) {
		f := newFixture(t)
		old := f.login(t, openID, key(1))
		f.advance(t, session.DefaultIdleTTL/2)
		token := f.login(t, openID, key(2))
		if got := others(t, f, token); len(got) != 1 {
			t.Fatalf("%d keys, want 1", len(got))
		}
		f.advance(t, session.DefaultIdleTTL/2)
		f.mustMiss(t, old)
	})

	t.Run("unreachable redis is an error", func(t *testing.T) {
		f := newFixture(t, unreachable)
		_, err := f.OtherSessionKeys(ctx, session.Session{AppID: appID, OpenID: openID})
		if !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("%v, want ErrUnavailable", err)
		}
	})
}
