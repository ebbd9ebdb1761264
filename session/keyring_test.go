package session_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

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

func TestStore_NewestSessionKey(t *testing.T) {
	ctx := context.Background()
	wantNewest := func(t *testing.T, f *fixture, token, want string) {
		t.Helper()
		if got, err := f.NewestSessionKey(ctx, f.mustFind(t, token)); err != nil || got != want {
			t.Errorf("another key, or %v", err)
		}
	}

	t.Run("whichever session asks", func(t *testing.T) {
		f := newFixture(t)
		var tokens []string
		for n := range 6 {
			tokens = append(tokens, f.login(t, openID, key(n)))
		}
		for _, token := range tokens {
			wantNewest(t, f, token, key(5))
		}
	})

	t.Run("of sessions that begin in the same millisecond", func(t *testing.T) {
		f := newFixture(t)
		var tokens []string
		for n := range 3 {
			token, err := f.Create(ctx, session.Session{AppID: appID, OpenID: openID, SessionKey: key(n)})
			if err != nil {
				t.Fatal(err)
			}
			tokens = append(tokens, token)
			f.advance(t, time.Microsecond)
		}
		for _, token := range tokens {
			wantNewest(t, f, token, key(2))
		}
	})

	t.Run("neither of another user nor of another app", func(t *testing.T) {
		f := newFixture(t, apps(session.App{AppID: appID, Secret: secret}, session.App{AppID: "wxother", Secret: secret}))
		token := f.login(t, openID, key(1))
		f.login(t, strings.ToLower(openID), key(2))
		if _, err := f.Create(ctx, session.Session{AppID: "wxother", OpenID: openID, SessionKey: key(3)}); err != nil {
			t.Fatal(err)
		}
		wantNewest(t, f, token, key(1))
	})

	t.Run("not of an ended session", func(t *testing.T) {
		f := newFixture(t)
		token := f.login(t, openID, key(1))
		if err := f.Revoke(ctx, f.login(t, openID, key(2))); err != nil {
			t.Fatal(err)
		}
		wantNewest(t, f, token, key(1))
		f.login(t, openID, key(3))
		wantNewest(t, f, token, key(3))
		f.advance(t, session.DefaultIdleTTL-time.Second) // the token is used, the newest session is not
		wantNewest(t, f, token, key(1))
	})

	t.Run("the session's own if the index has lost it", func(t *testing.T) {
		f := newFixture(t)
		old := f.login(t, openID, key(1))
		token := f.login(t, openID, key(2))
		f.redis.Client.ZRem(ctx, f.indexKey(openID), member(token))
		wantNewest(t, f, token, key(2))
		wantNewest(t, f, old, key(1))
		f.redis.Client.Del(ctx, f.indexKey(openID))
		wantNewest(t, f, token, key(2))
	})

	t.Run("does not prolong", func(t *testing.T) {
		f := newFixture(t)
		token := f.login(t, openID, key(1))
		newest := f.login(t, openID, key(2))
		f.advance(t, session.DefaultIdleTTL/2)
		wantNewest(t, f, token, key(2))
		f.advance(t, session.DefaultIdleTTL/2)
		f.mustMiss(t, newest)
	})

	t.Run("unreachable redis is an error", func(t *testing.T) {
		f := newFixture(t, unreachable)
		key, err := f.NewestSessionKey(ctx, session.Session{AppID: appID, OpenID: openID, SessionKey: sessionKey})
		if !errors.Is(err, session.ErrUnavailable) || key != "" {
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
