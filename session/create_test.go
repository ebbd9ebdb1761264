package session_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"wxlogin/internal/testenv"
	"wxlogin/session"
)

func TestStore_Create(t *testing.T) {
	ctx := context.Background()

	t.Run("token_is_32_random_bytes_and_says_nothing", func(t *testing.T) {
		f := newFixture(t)
		seen := map[string]bool{}
		for range 50 {
			token := f.login(t, openID, sessionKey)
			raw, err := base64.RawURLEncoding.DecodeString(token)
			if err != nil || len(raw) != 32 || len(token) != 43 {
				t.Fatalf("token of %d characters, %d bytes: %v", len(token), len(raw), err)
			}
			if seen[token] {
				t.Fatal("the same token twice")
			}
			seen[token] = true
		}
	})

	t.Run("redis_sees_no_token_and_no_secret", func(t *testing.T) {
		f := newFixture(t)
		tokens := []string{f.login(t, openID, sessionKey), f.login(t, openID, "r7BXXKkLb8qrSNn05n0qiA==")}
		dump := fmt.Sprint(f.redis.Dump(t))
		for _, secret := range append(tokens, sessionKey, "r7BXXKkLb8qrSNn05n0qiA==", secret) {
			if strings.Contains(dump, secret) {
				t.Error("a dump of Redis holds a token, session_key or AppSecret")
			}
		}
		raw, _ := base64.StdEncoding.DecodeString(sessionKey)
		if strings.Contains(dump, string(raw)) {
			t.Error("a dump of Redis holds a session_key's bytes")
		}
	})

	t.Run("every_key_expires", func(t *testing.T) {
		f := newFixture(t)
		f.login(t, openID, sessionKey)
		keys := f.redis.Dump(t)
		if len(keys) != 2 {
			t.Fatalf("%d keys, want a record and an index", len(keys))
		}
		for key := range keys {
			if ttl := f.redis.TTL(t, key); ttl <= 0 || ttl > session.DefaultMaxLifetime {
				t.Errorf("%s expires in %v", key, ttl)
			}
		}
	})

	faults := map[string]session.Session{
		"foreign_app":         {AppID: "wxother", OpenID: openID, SessionKey: sessionKey},
		"no_openid":           {AppID: appID, SessionKey: sessionKey},
		"no_session_key":      {AppID: appID, OpenID: openID},
		"endless_openid":      {AppID: appID, OpenID: strings.Repeat("o", 256), SessionKey: sessionKey},
		"endless_session_key": {AppID: appID, OpenID: openID, SessionKey: strings.Repeat("k", 256)},
	}
	for name, sess := range faults {
		t.Run(name+"_writes_nothing", func(t *testing.T) {
			f := newFixture(t)
			_, err := f.Create(ctx, sess)
			if err == nil || errors.Is(err, session.ErrUnavailable) {
				t.Errorf("Create: %v, want an error of its own", err)
			}
			if keys := f.redis.Dump(t); len(keys) != 0 {
				t.Errorf("%d keys were written", len(keys))
			}
		})
	}

	t.Run("unreachable_redis_is_a_fault", func(t *testing.T) {
		f := newFixture(t, unreachable)
		_, err := f.Create(ctx, session.Session{AppID: appID, OpenID: openID, SessionKey: sessionKey})
		if !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("Create: %v, want ErrUnavailable", err)
		}
	})
}

func TestOptions_KeyPrefix(t *testing.T) {
	ctx := t.Context()
	f := newFixture(t)
	other := f.restart(t, func(o *session.Options) { o.KeyPrefix = "another:" })
	f.login(t, openID, key(1))
	token := other.login(t, openID, key(2))
	if err := other.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	f.mustMiss(t, token)
	sess := other.mustFind(t, token)
	if keys, err := other.OtherSessionKeys(ctx, sess); err != nil || len(keys) != 0 {
		t.Errorf("%d keys of the other prefix's session, %v", len(keys), err)
	}
	for key := range f.redis.Dump(t) {
		if !strings.HasPrefix(key, "another:") && !strings.HasPrefix(key, session.DefaultKeyPrefix+"session") {
			t.Errorf("a key without a prefix: %s", key)
		}
	}
	for _, want := range []string{"another:session:" + member(token), "another:sessions:" + appID + ":" + openID} {
		if f.redis.Client.Exists(ctx, want).Val() != 1 {
			t.Errorf("there is no key %s", want)
		}
	}
	if err := other.RevokeAll(ctx, appID, openID); err != nil {
		t.Fatal(err)
	}
	other.mustMiss(t, token)
	if n := len(f.members(t, openID)); n != 1 {
		t.Errorf("%d sessions under the default prefix, want 1", n)
	}
}

func TestNew_reports_every_fault(t *testing.T) {
	r := testenv.NewRedis(t)
	app := session.App{AppID: appID, Secret: secret}
	unnamed := session.App{PreviousSecret: secret}
	tests := map[string]session.Options{
		"no_redis":          {Apps: []session.App{app}},
		"no_app":            {Redis: r.Client},
		"app_without_id":    {Redis: r.Client, Apps: []session.App{{Secret: secret}}},
		"previous_only":     {Redis: r.Client, Apps: []session.App{unnamed}},
		"app_twice":         {Redis: r.Client, Apps: []session.App{app, app}},
		"idle_over_max":     {Redis: r.Client, Apps: []session.App{app}, IdleTTL: 2 * time.Hour, MaxLifetime: time.Hour},
		"idle_under_second": {Redis: r.Client, Apps: []session.App{app}, IdleTTL: time.Millisecond},
		"negative_cap":      {Redis: r.Client, Apps: []session.App{app}, MaxPerUser: -1},
		"prefix_with_space": {Redis: r.Client, Apps: []session.App{app}, KeyPrefix: "a b:"},
		"prefix_with_brace": {Redis: r.Client, Apps: []session.App{app}, KeyPrefix: "{a}:"},
		"prefix_with_line":  {Redis: r.Client, Apps: []session.App{app}, KeyPrefix: "a\n"},
		"prefix_not_ASCII":  {Redis: r.Client, Apps: []session.App{app}, KeyPrefix: "é:"},
	}
	for name, o := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := session.New(o); err == nil {
				t.Error("New took it")
			} else if strings.Contains(err.Error(), secret) {
				t.Error("the error holds the AppSecret")
			}
		})
	}
	_, err := session.New(session.Options{IdleTTL: time.Millisecond, MaxPerUser: -1})
	for _, want := range []string{"no Redis client", "no app", "less than a second", "-1 sessions"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q: %v", want, err)
		}
	}
}
