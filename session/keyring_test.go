package session_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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

const newSecret = "fedcba9876543210fedcba9876543210"

func TestStore_PreviousSecret(t *testing.T) {
	ctx := context.Background()
	oldOnly := apps(session.App{AppID: appID, Secret: secret})
	both := apps(session.App{AppID: appID, Secret: newSecret, PreviousSecret: secret})
	newOnly := apps(session.App{AppID: appID, Secret: newSecret})

	t.Run("old tokens live on", func(t *testing.T) {
		f := newFixture(t, oldOnly)
		token := f.login(t, openID, sessionKey)
		rotated := f.restart(t, both)
		if got := rotated.mustFind(t, token); got.SessionKey != sessionKey || got.OpenID != openID {
			t.Errorf("it is another session: %v", got)
		}
		rotated.mustLog(t)
	})

	t.Run("use does not reseal", func(t *testing.T) {
		f := newFixture(t, oldOnly)
		token := f.login(t, openID, sessionKey)
		before := f.redis.Client.Get(ctx, f.recordKey(token)).Val()
		f.restart(t, both).mustFind(t, token)
		if f.redis.Client.Get(ctx, f.recordKey(token)).Val() != before {
			t.Error("the record was written again")
		}
	})

	t.Run("key ring reaches across", func(t *testing.T) {
		f := newFixture(t, oldOnly)
		before := f.login(t, openID, key(1))
		f = f.restart(t, both)
		after := f.login(t, openID, key(2))
		for token, want := range map[string]string{before: key(2), after: key(1)} {
			got, err := f.OtherSessionKeys(ctx, f.mustFind(t, token))
			if err != nil || !slices.Equal(got, []string{want}) {
				t.Errorf("%d keys, %v; want the other session's", len(got), err)
			}
		}
	})

	t.Run("revoking reaches across", func(t *testing.T) {
		f := newFixture(t, oldOnly)
		one := f.login(t, openID, key(1))
		f.login(t, openID, key(2))
		f = f.restart(t, both)
		f.login(t, openID, key(3))
		if err := f.Revoke(ctx, one); err != nil {
			t.Fatal(err)
		}
		if n := len(f.members(t, openID)); n != 2 {
			t.Errorf("%d members in the index, want 2", n)
		}
		if err := f.RevokeAll(ctx, appID, openID); err != nil {
			t.Fatal(err)
		}
		if keys := f.redis.Dump(t); len(keys) != 0 {
			t.Errorf("%d keys are left", len(keys))
		}
	})

	t.Run("without it old tokens are a miss", func(t *testing.T) {
		f := newFixture(t, oldOnly)
		before := f.login(t, openID, key(1))
		after := f.restart(t, both).login(t, openID, key(2))
		f = f.restart(t, newOnly)
		f.mustMiss(t, before)
		f.mustFind(t, after)
		f.mustLog(t, "unknown key")
		if err := f.Revoke(ctx, before); err != nil {
			t.Error(err)
		}
		if f.redis.Client.Exists(ctx, f.recordKey(before)).Val() != 0 {
			t.Error("Revoke leaves the record that it cannot unseal")
		}
	})

	t.Run("new records are sealed under the new one alone", func(t *testing.T) {
		f := newFixture(t, both)
		token := f.login(t, openID, sessionKey)
		late := f.restart(t, oldOnly) // a process that still has the old secret only
		late.mustMiss(t, token)
		late.mustLog(t, "unknown key")
		f.restart(t, newOnly).mustFind(t, token)
	})

	t.Run("ignored if it equals the secret", func(t *testing.T) {
		f := newFixture(t, apps(session.App{AppID: appID, Secret: secret, PreviousSecret: secret}))
		f.mustFind(t, f.login(t, openID, sessionKey))
	})

	t.Run("of one app only", func(t *testing.T) {
		one := func(app session.App) []session.App { return []session.App{app, {AppID: "wxother", Secret: secret}} }
		f := newFixture(t, apps(one(session.App{AppID: appID, Secret: secret})...))
		mine := f.login(t, openID, key(1))
		theirs, err := f.Create(ctx, session.Session{AppID: "wxother", OpenID: openID, SessionKey: key(2)})
		if err != nil {
			t.Fatal(err)
		}
		// The previous secret of one app is the secret of the other: keys are salted with the appid.
		f = f.restart(t, apps(one(session.App{AppID: appID, Secret: newSecret, PreviousSecret: secret})...))
		if got := f.mustFind(t, mine); got.AppID != appID {
			t.Errorf("a session of %s", got.AppID)
		}
		if got := f.mustFind(t, theirs); got.AppID != "wxother" {
			t.Errorf("a session of %s", got.AppID)
		}
		f = f.restart(t, apps(one(session.App{AppID: appID, Secret: newSecret})...))
		f.mustMiss(t, mine)
		f.mustFind(t, theirs)
	})

	t.Run("a record does not move to another token", func(t *testing.T) {
		f := newFixture(t, oldOnly)
		one, two := f.login(t, openID, key(1)), f.login(t, strings.ToLower(openID), key(2))
		f.redis.Client.Set(ctx, f.recordKey(one), f.redis.Client.Get(ctx, f.recordKey(two)).Val(), 0)
		rotated := f.restart(t, both)
		rotated.mustMiss(t, one)
		rotated.mustLog(t, "altered or another token's")
	})
}
