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

	t.Run("token is 32 random bytes", func(t *testing.T) {
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

	t.Run("redis sees no token and no secret", func(t *testing.T) {
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

	t.Run("every key expires", func(t *testing.T) {
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

	invalid := map[string]session.Session{
		"unconfigured app": {AppID: "wxother", OpenID: openID, SessionKey: sessionKey},
		"no openid":        {AppID: appID, SessionKey: sessionKey},
		"no session key":   {AppID: appID, OpenID: openID},
		"long openid":      {AppID: appID, OpenID: strings.Repeat("o", 256), SessionKey: sessionKey},
		"long session key": {AppID: appID, OpenID: openID, SessionKey: strings.Repeat("k", 256)},
	}
	for name, sess := range invalid {
		t.Run(name+" writes nothing", func(t *testing.T) {
			f := newFixture(t)
			_, err := f.Create(ctx, sess)
			if err == nil || errors.Is(err, session.ErrUnavailable) {
				t.Errorf("Create: %v, want an error other than ErrUnavailable", err)
			}
			if keys := f.redis.Dump(t); len(keys) != 0 {
				t.Errorf("%d keys were written", len(keys))
			}
		})
	}

	t.Run("unreachable redis is an error", func(t *testing.T) {
		f := newFixture(t, unreachable)
		_, err := f.Create(ctx, session.Session{AppID: appID, OpenID: openID, SessionKey: sessionKey})
		if !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("Create: %v, want ErrUnavailable", err)
		}
	})
}

func TestOptions_KeyPrefix(t *testing.T) {
	ctx := t.Context()
	f := newFixture(t) // on a Cluster as a user with access to wxlogin:* only
	other := f.restart(t, func(o *session.Options) { o.KeyPrefix = "wxlogin:another:" })
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
		if !strings.HasPrefix(key, "wxlogin:another:") && !strings.HasPrefix(key, session.DefaultKeyPrefix+"session") {
			t.Errorf("a key without a prefix: %s", key)
		}
	}
	for _, want := range []string{"wxlogin:another:session:" + member(token), "wxlogin:another:sessions:" + appID + ":" + openID} {
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

func TestNew_InvalidOptions(t *testing.T) {
	r := testenv.NewRedis(t)
	app := session.App{AppID: appID, Secret: secret}
	unnamed := session.App{PreviousSecret: secret}
	tests := map[string]session.Options{
		"no redis":          {Apps: []session.App{app}},
		"no app":            {Redis: r.Client},
		"app without id":    {Redis: r.Client, Apps: []session.App{{Secret: secret}}},
		"previous only":     {Redis: r.Client, Apps: []session.App{unnamed}},
		"app twice":         {Redis: r.Client, Apps: []session.App{app, app}},
		"idle over max":     {Redis: r.Client, Apps: []session.App{app}, IdleTTL: 2 * time.Hour, MaxLifetime: time.Hour},
		"idle under second": {Redis: r.Client, Apps: []session.App{app}, IdleTTL: time.Millisecond},
		"negative cap":      {Redis: r.Client, Apps: []session.App{app}, MaxPerUser: -1},
		"prefix with space": {Redis: r.Client, Apps: []session.App{app}, KeyPrefix: "a b:"},
		"prefix with brace": {Redis: r.Client, Apps: []session.App{app}, KeyPrefix: "{a}:"},
		"prefix with line":  {Redis: r.Client, Apps: []session.App{app}, KeyPrefix: "a\n"},
		"prefix not ASCII":  {Redis: r.Client, Apps: []session.App{app}, KeyPrefix: "é:"},
	}
	for name, o := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := session.New(o); err == nil {
				t.Error("New accepts it")
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
