package session_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/internal/testenv/redistest"
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
	prefix := f.redis.Prefix + "another:"
	other := f.restart(t, func(o *session.Options) { o.KeyPrefix = prefix })
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
		if !strings.HasPrefix(key, prefix) && !strings.HasPrefix(key, f.redis.Prefix+"session") {
			t.Errorf("a key without a prefix: %s", key)
		}
	}
	for _, want := range []string{prefix + "session:" + member(token), prefix + "sessions:" + appID + ":" + openID} {
		if f.redis.Client.Exists(ctx, want).Val() != 1 {
			t.Errorf("there is no key %s", want)
		}
	}
	if err := other.RevokeAll(ctx, appID, openID); err != nil {
		t.Fatal(err)
	}
	other.mustMiss(t, token)
	if n := len(f.members(t, openID)); n != 1 {
		t.Errorf("%d sessions under the first prefix, want 1", n)
	}

	c := newCluster(t, 1)
	f = newFixture(t, func(o *session.Options) { o.Redis, o.KeyPrefix = c, "" })
	token = f.login(t, openID, sessionKey)
	for _, want := range []string{"wxlogin:session:" + member(token), "wxlogin:sessions:" + appID + ":" + openID} {
		if c.Exists(ctx, want).Val() != 1 {
			t.Errorf("without a prefix there is no key %s", want)
		}
	}
}

func TestNew_InvalidOptions(t *testing.T) {
	r := redistest.New(t)
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

// atMost sets MaxPerUser.
func atMost(n int) func(*session.Options) {
	return func(o *session.Options) { o.MaxPerUser = n }
}

// logins creates n sessions of the user, a second apart.
func (f *fixture) logins(t testing.TB, n int) (tokens []string) {
	t.Helper()
	for range n {
		tokens = append(tokens, f.login(t, openID, sessionKey))
	}
	return tokens
}

// alive returns the tokens whose record exists. Unlike Lookup it does not count as a use of the session.
func (f *fixture) alive(t testing.TB, tokens []string) (alive []string) {
	t.Helper()
	for _, token := range tokens {
		n, err := f.redis.Client.Exists(t.Context(), f.recordKey(token)).Result()
		if err != nil {
			t.Fatal(err)
		}
		if n == 1 {
			alive = append(alive, token)
		}
	}
	return alive
}

// mustKeep fails unless exactly the tokens with these indexes are alive.
func (f *fixture) mustKeep(t testing.TB, tokens []string, numbers ...int) {
	t.Helper()
	var want []string
	for _, n := range numbers {
		want = append(want, tokens[n])
	}
	if got := f.alive(t, tokens); !slices.Equal(got, want) {
		var kept []int
		for _, token := range got {
			kept = append(kept, slices.Index(tokens, token))
		}
		t.Errorf("kept sessions %v, want %v", kept, numbers)
	}
	f.mustBeConsistent(t, f.redis.Dump(t))
}

func TestStore_CreateCap(t *testing.T) {
	ctx := context.Background()

	t.Run("never more than the cap and the newest is one", func(t *testing.T) {
		for _, cap := range []int{1, 2, 3, 7, 8, 20} {
			f := newFixture(t, atMost(cap))
			var tokens []string
			for range 2*cap + 3 {
				tokens = append(tokens, f.login(t, openID, sessionKey))
				alive := f.alive(t, tokens)
				if len(alive) > cap || len(alive) < min(len(tokens), cap/2) || !slices.Contains(alive, tokens[len(tokens)-1]) {
					t.Fatalf("cap %d: %d of %d sessions are alive", cap, len(alive), len(tokens))
				}
			}
			f.mustBeConsistent(t, f.redis.Dump(t))
		}
	})

	t.Run("unused ones end oldest first", func(t *testing.T) {
		f := newFixture(t, atMost(3))
		f.mustKeep(t, f.logins(t, 5), 2, 3, 4)
	})

	t.Run("a session in use stays", func(t *testing.T) {
		f := newFixture(t, atMost(3))
		tokens := f.logins(t, 1)
		for range 10 {
			f.mustFind(t, tokens[0])
			f.advance(t, time.Second)
			tokens = append(tokens, f.logins(t, 1)...)
		}
		f.mustKeep(t, tokens, 0, 9, 10)
	})

	t.Run("also when its absolute expiry is near", func(t *testing.T) {
		f := newFixture(t, atMost(3))
		tokens := f.logins(t, 1)
		for range 4 { // used every 6 days
			f.advance(t, 6*24*time.Hour)
			f.mustFind(t, tokens[0])
		}
		tokens = append(tokens, f.logins(t, 2)...)
		f.advance(t, 6*24*time.Hour-time.Hour) // to an hour before the absolute expiry
		f.mustFind(t, tokens[0])
		f.advance(t, time.Second)
		f.mustKeep(t, append(tokens, f.logins(t, 1)...), 0, 2, 3)
	})

	t.Run("several end at once and those in use stay", func(t *testing.T) {
		f := newFixture(t)
		tokens := f.logins(t, 20)
		for _, n := range []int{0, 5, 11} {
			f.mustFind(t, tokens[n])
		}
		f.advance(t, time.Second)
		f.mustKeep(t, append(tokens, f.logins(t, 1)...), 0, 5, 11, 14, 15, 16, 17, 18, 19, 20)
	})

	t.Run("expired ones leave the index and no living one does", func(t *testing.T) {
		f := newFixture(t)
		tokens := f.logins(t, 3)
		f.advance(t, session.DefaultIdleTTL-time.Minute)
		f.mustFind(t, tokens[1])
		f.advance(t, time.Minute) // two have expired
		tokens = append(tokens, f.logins(t, 17)...)
		f.redis.Client.Del(ctx, f.recordKey(tokens[18])) // deleted, though new
		tokens = append(tokens, f.logins(t, 2)...)
		f.mustKeep(t, tokens, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 19, 20, 21)
	})

	t.Run("a lower cap holds from the next login on", func(t *testing.T) {
		f := newFixture(t)
		tokens := f.logins(t, 20)
		f.mustFind(t, tokens[4])
		f.advance(t, time.Second)
		f = f.restart(t, atMost(2))
		f.mustKeep(t, append(tokens, f.logins(t, 1)...), 4, 20)
	})

	t.Run("other users are left alone", func(t *testing.T) {
		f := newFixture(t, atMost(2))
		other := f.login(t, strings.ToLower(openID), sessionKey)
		f.logins(t, 5)
		f.mustFind(t, other)
	})

	t.Run("absolutely expired ones leave the index", func(t *testing.T) {
		f := newFixture(t)
		f.login(t, openID, sessionKey)
		f.advance(t, session.DefaultMaxLifetime-time.Hour)
		f.login(t, openID, sessionKey)
		f.advance(t, 2*time.Hour)
		f.login(t, openID, sessionKey)
		if got := f.redis.Dump(t)[f.indexKey(openID)]; strings.Count(got, "=") != 2 {
			t.Errorf("the index holds %s, want two members", got)
		}
	})

	t.Run("invalid members leave the index", func(t *testing.T) {
		f := newFixture(t, atMost(2))
		tokens := f.logins(t, 2)
		f.redis.Client.ZAdd(ctx, f.indexKey(openID), redis.Z{Score: float64(f.clock.Now().UnixMicro()), Member: "x"})
		f.redis.Client.Set(ctx, f.redis.Prefix+"session:x", "other", 0)
		f.mustFind(t, tokens[0])
		f.advance(t, time.Second)
		tokens = append(tokens, f.logins(t, 1)...)
		if got := f.alive(t, tokens); !slices.Equal(got, []string{tokens[0], tokens[2]}) {
			t.Errorf("%d sessions are alive", len(got))
		}
		if n := len(f.members(t, openID)); n != 2 || f.redis.Dump(t)[f.redis.Prefix+"session:x"] != "other" {
			t.Errorf("%d members, or the key that is not a session is gone", n)
		}
		f.mustLog(t, "not a hash")
	})
}

// OtherSessionKeys still returns the newest other keys after several sessions have ended at once.
func TestStore_OtherSessionKeysAtCap(t *testing.T) {
	f := newFixture(t)
	var token string
	for n := range 2*session.DefaultMaxPerUser + 2 {
		token = f.login(t, openID, key(n))
		keys, err := f.OtherSessionKeys(t.Context(), f.mustFind(t, token))
		want := []string{key(n - 1), key(n - 2), key(n - 3)}[:min(n, session.MaxOtherKeys)]
		if err != nil || !slices.Equal(keys, want) {
			t.Fatalf("after login %d: %d keys, %v; want the newest", n, len(keys), err)
		}
	}
}

// A user who logs in at every start of the mini-program is always at the cap. Only one in several of these logins costs
// more.
func TestStore_CreateCapCost(t *testing.T) {
	for name, tracing := range map[string]bool{"shared trips": false, "tracing": true} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			var sent [][]string
			client := f.client(t, recordingHook{&sent})
			f = f.restart(t, func(o *session.Options) { o.Redis, o.AutoPipeline = client, !tracing })
			f.logins(t, session.DefaultMaxPerUser)
			sent = nil
			const logins = 110
			f.logins(t, logins)
			commands := 0
			for _, trip := range sent {
				commands += len(trip)
			}
			// With AutoPipeline the scheduler decides which commands share a round trip.
			inOneTrip := tracing && !isCluster(client)
			if inOneTrip && len(sent) > logins*13/10 || commands > 5*logins {
				t.Errorf("%d round trips and %d commands for %d logins", len(sent), commands, logins)
			}
		})
	}
}

// createAll creates n sessions of one user concurrently and returns their tokens.
func createAll(t *testing.T, store *session.Store, n int) []string {
	t.Helper()
	tokens := make([]string, n)
	var wg sync.WaitGroup
	for i := range tokens {
		wg.Go(func() {
			var err error
			tokens[i], err = store.Create(context.Background(), session.Session{AppID: appID, OpenID: openID, SessionKey: sessionKey})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	return tokens
}

// After many concurrent logins of one user there are at most as many sessions as the cap, and at least one. A record
// that is not in the index would survive "log out everywhere".
func TestStore_CreateConcurrent(t *testing.T) {
	for name, cap := range map[string]int{"one": 1, "two": 2, "seven": 7, "twenty": 20} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, atMost(cap))
			for range 5 {
				alive := f.alive(t, createAll(t, f.Store, 64))
				if len(alive) > cap || len(alive) == 0 {
					t.Errorf("%d sessions live, cap %d", len(alive), cap)
				}
				f.mustBeConsistent(t, f.redis.Dump(t))
				newest := f.login(t, openID, sessionKey)
				f.mustFind(t, newest)
				f.advance(t, time.Second)
			}
			if err := f.RevokeAll(context.Background(), appID, openID); err != nil {
				t.Fatal(err)
			}
			if keys := f.redis.Dump(t); len(keys) != 0 {
				t.Errorf("%d keys are left after RevokeAll", len(keys))
			}
		})
	}
}

func TestStore_CreateConcurrentCluster(t *testing.T) {
	for _, cap := range []int{1, 2, 20} {
		c := newCluster(t, 3)
		f := newFixture(t, func(o *session.Options) { o.Redis, o.MaxPerUser = c, cap })
		createAll(t, f.Store, 64)
		dump := c.dump(t)
		f.mustBeConsistent(t, dump)
		if alive := len(dump) - 1; alive > cap || alive < 1 {
			t.Errorf("%d sessions live, cap %d", alive, cap)
		}
	}
}
