package session_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/session"
)

// unreachable points a Store at a port on which nothing listens.
func unreachable(o *session.Options) {
	o.Redis = redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
}

func TestStore_Lookup(t *testing.T) {
	ctx := context.Background()

	t.Run("returns the created session", func(t *testing.T) {
		f := newFixture(t)
		began := f.clock.Now()
		sess := f.mustFind(t, f.login(t, openID, sessionKey))
		want := session.Session{
			AppID: appID, OpenID: openID, SessionKey: sessionKey, CreatedAt: began.UTC().Truncate(time.Millisecond),
		}
		if sess != want {
			t.Errorf("got %v, want %v (or another session_key)", sess, want)
		}
	})

	t.Run("each of a users sessions lives", func(t *testing.T) {
		f := newFixture(t)
		phone, tablet := f.login(t, openID, sessionKey), f.login(t, openID, "r7BXXKkLb8qrSNn05n0qiA==")
		if f.mustFind(t, phone).SessionKey == f.mustFind(t, tablet).SessionKey {
			t.Error("two sessions, one session_key")
		}
	})

	t.Run("openids that differ in case are two users", func(t *testing.T) {
		f := newFixture(t)
		lower := strings.ToLower(openID)
		a, b := f.login(t, openID, sessionKey), f.login(t, lower, sessionKey)
		if f.mustFind(t, a).OpenID != openID || f.mustFind(t, b).OpenID != lower {
			t.Error("a token has another user's session")
		}
	})

	t.Run("expired is not found", func(t *testing.T) {
		f := newFixture(t)
		token := f.login(t, openID, sessionKey)
		f.advance(t, session.DefaultIdleTTL)
		f.mustMiss(t, token)
	})

	t.Run("use prolongs", func(t *testing.T) {
		f := newFixture(t)
		token := f.login(t, openID, sessionKey)
		for range 4 {
			f.advance(t, session.DefaultIdleTTL-time.Minute)
			f.mustFind(t, token)
		}
	})

	t.Run("absolute expiry in spite of use", func(t *testing.T) {
		f := newFixture(t, func(o *session.Options) { o.IdleTTL, o.MaxLifetime = time.Hour, 3*time.Hour })
		token := f.login(t, openID, sessionKey)
		for range 3 {
			f.mustFind(t, token)
			f.advance(t, 50*time.Minute)
		}
		f.mustFind(t, token)
		f.advance(t, 30*time.Minute)
		f.mustMiss(t, token)
	})

	t.Run("unreachable redis is an error and not a miss", func(t *testing.T) {
		f := newFixture(t)
		token := f.login(t, openID, sessionKey)
		_, err := newFixture(t, unreachable).Lookup(ctx, token)
		if !errors.Is(err, session.ErrUnavailable) || errors.Is(err, session.ErrNotFound) {
			t.Errorf("Lookup: %v, want ErrUnavailable", err)
		}
	})
}

func TestStore_LookupMalformed(t *testing.T) {
	f := newFixture(t, unreachable)
	for _, token := range []string{
		"", "x", strings.Repeat("A", 42), strings.Repeat("A", 44), strings.Repeat("A", 42) + "+", strings.Repeat("A", 42) + "=",
		strings.Repeat("A", 42) + "B", // trailing bits set: another spelling of a token that ends in A
		strings.Repeat("é", 21) + "A", strings.Repeat("\x00", 43), strings.Repeat("A", 42) + "\n", sessionKey,
	} {
		f.mustMiss(t, token)
	}
}

func TestSession_String(t *testing.T) {
	s := session.Session{AppID: appID, OpenID: openID, SessionKey: sessionKey, CreatedAt: time.Now()}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "session", s)
	for _, text := range []string{fmt.Sprint(s), fmt.Sprintf("%+v", s), fmt.Sprintf("%#v", s), log.String()} {
		if strings.Contains(text, sessionKey) {
			t.Error("a text form shows the session_key")
		}
		if !strings.Contains(text, openID) {
			t.Errorf("%s does not contain the openid", text)
		}
	}
}
