package session_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/session"
)

// badRecords are values that a token's key may hold instead of its record, with the kind that the log names.
var badRecords = map[string]struct {
	kind  string
	write func(r redis.UniversalClient, key, sealed string) // sealed: the record of another token
}{
	"empty":                {"wrong length", set(func(string) string { return "" })},
	"truncated":            {"wrong length", set(func(s string) string { return s[:20] })},
	"header only":          {"wrong length", set(func(s string) string { return s[:17] })},
	"longer than any":      {"wrong length", set(func(s string) string { return s + strings.Repeat("x", 64<<10) })},
	"text":                 {"unknown version", set(func(string) string { return strings.Repeat(`{"openid":"o"}`, 9) })},
	"other version":        {"unknown version", set(func(s string) string { return "\x02" + s[1:] })},
	"number":               {"wrong length", set(func(string) string { return "1" })},
	"other key":            {"unknown key", set(func(s string) string { return s[:1] + "\x00\x00\x00\x00" + s[5:] })},
	"another users record": {"altered or another token's", set(func(s string) string { return s })},
	"altered":              {"altered or another token's", set(flipLast)},
	"longer by a byte":     {"altered or another token's", set(func(s string) string { return s + "x" })},
	"list": {"wrong type", func(r redis.UniversalClient, key, _ string) {
		r.RPush(context.Background(), key, "x")
	}},
	"hash": {"wrong type", func(r redis.UniversalClient, key, _ string) {
		r.HSet(context.Background(), key, "x", "y")
	}},
}

func set(value func(sealed string) string) func(redis.UniversalClient, string, string) {
	return func(r redis.UniversalClient, key, sealed string) {
		r.Set(context.Background(), key, value(sealed), time.Hour)
	}
}

func flipLast(s string) string {
	last := len(s) - 1
	return s[:last] + string([]byte{s[last] ^ 1})
}

// If a token's key holds anything but the record sealed for it, that is a miss, not an error and not a panic. It is
// logged once, and Revoke deletes it.
func TestStore_InvalidRecord(t *testing.T) {
	ctx := context.Background()
	for name, test := range badRecords {
		operations := map[string]func(*testing.T, *fixture, string){
			"lookup": func(t *testing.T, f *fixture, token string) { f.mustMiss(t, token); f.mustMiss(t, token) },
			"key ring": func(t *testing.T, f *fixture, _ string) {
				for range 2 {
					keys, err := f.OtherSessionKeys(ctx, session.Session{AppID: appID, OpenID: openID})
					if err != nil || len(keys) != 0 {
						t.Errorf("OtherSessionKeys: %d keys, %v", len(keys), err)
					}
				}
			},
			"revoke": func(t *testing.T, f *fixture, token string) {
				if err := f.Revoke(ctx, token); err != nil {
					t.Errorf("Revoke: %v", err)
				}
				if f.redis.Client.Exists(ctx, f.recordKey(token)).Val() != 0 {
					t.Error("it is still there")
				}
			},
		}
		for op, do := range operations {
			t.Run(name+"/"+op, func(t *testing.T) {
				f := newFixture(t)
				other := f.redis.Client.Get(ctx, f.recordKey(f.login(t, "oOTHER", key(1)))).Val()
				token := f.login(t, openID, sessionKey)
				f.redis.Client.Del(ctx, f.recordKey(token))
				test.write(f.redis.Client, f.recordKey(token), other)
				do(t, f, token)
				f.mustLog(t, test.kind)
			})
		}
		t.Run(name+"/revoke all", func(t *testing.T) {
			f := newFixture(t)
			token := f.login(t, openID, sessionKey)
			test.write(f.redis.Client, f.recordKey(token), f.redis.Client.Get(ctx, f.recordKey(token)).Val())
			if err := f.RevokeAll(ctx, appID, openID); err != nil {
				t.Errorf("RevokeAll: %v", err)
			}
			if keys := f.redis.Dump(t); len(keys) != 0 {
				t.Errorf("%d keys are left", len(keys))
			}
		})
	}
}

func TestStore_MissIsNotLogged(t *testing.T) {
	f := newFixture(t, func(o *session.Options) { o.IdleTTL, o.MaxLifetime = time.Hour, time.Hour })
	ctx := context.Background()
	revoked, ended := f.login(t, openID, key(1)), f.login(t, openID, key(2))
	f.redis.Client.Del(ctx, f.recordKey(revoked))
	f.clock.Advance(time.Hour) // the record is still there: its absolute expiry has come
	f.mustMiss(t, revoked)
	f.mustMiss(t, ended)
	if _, err := f.OtherSessionKeys(ctx, session.Session{AppID: appID, OpenID: openID}); err != nil {
		t.Error(err)
	}
	for _, token := range []string{revoked, ended, revoked} {
		if err := f.Revoke(ctx, token); err != nil {
			t.Error(err)
		}
	}
	if err := f.RevokeAll(ctx, appID, openID); err != nil {
		t.Error(err)
	}
	f.mustLog(t)
}

func TestStore_InvalidIndex(t *testing.T) {
	ctx := context.Background()
	types := map[string]func(r redis.UniversalClient, key string){
		"string": func(r redis.UniversalClient, key string) { r.Set(ctx, key, "x", 0) },
		"number": func(r redis.UniversalClient, key string) { r.Incr(ctx, key) },
		"list":   func(r redis.UniversalClient, key string) { r.RPush(ctx, key, "x") },
		"set":    func(r redis.UniversalClient, key string) { r.SAdd(ctx, key, "x") },
		"hash":   func(r redis.UniversalClient, key string) { r.HSet(ctx, key, "x", "y") },
	}
	for name, write := range types {
		t.Run(name+" is replaced by a login", func(t *testing.T) {
			f := newFixture(t)
			write(f.redis.Client, f.indexKey(openID))
			token := f.login(t, openID, key(1))
			f.mustFind(t, token)
			f.login(t, openID, key(2))
			if n := len(f.members(t, openID)); n != 2 {
				t.Errorf("the index has %d members, want 2", n)
			}
			if ttl := f.redis.TTL(t, f.indexKey(openID)); ttl <= 0 {
				t.Errorf("the index expires in %v", ttl)
			}
			f.mustLog(t, "wrong type")
		})

		t.Run(name+" is not an error for other calls", func(t *testing.T) {
			f := newFixture(t)
			token := f.login(t, openID, key(1))
			f.redis.Client.Del(ctx, f.indexKey(openID))
			write(f.redis.Client, f.indexKey(openID))
			if keys, err := f.OtherSessionKeys(ctx, f.mustFind(t, token)); err != nil || len(keys) != 0 {
				t.Errorf("OtherSessionKeys: %d keys, %v", len(keys), err)
			}
			if err := f.RevokeAll(ctx, appID, openID); err != nil {
				t.Errorf("RevokeAll: %v", err)
			}
			if err := f.Revoke(ctx, token); err != nil {
				t.Errorf("Revoke: %v", err)
			}
			f.mustMiss(t, token)
			f.mustLog(t, "wrong type")
		})
	}

	t.Run("member that is not a hash", func(t *testing.T) {
		f := newFixture(t)
		token := f.login(t, openID, key(1))
		for n, text := range []string{"", "x", member(token) + "=", strings.Repeat("A", 42) + "B"} {
			f.redis.Client.ZAdd(ctx, f.indexKey(openID), redis.Z{Score: float64(n), Member: text})
		}
		f.redis.Client.Set(ctx, f.redis.Prefix+"session:x", "other", 0)
		if keys, err := f.OtherSessionKeys(ctx, session.Session{AppID: appID, OpenID: openID}); err != nil || len(keys) != 1 {
			t.Errorf("OtherSessionKeys: %d keys, %v; want the one session's", len(keys), err)
		}
		f.mustLog(t, "not a hash")
		f = f.restart(t)
		if err := f.RevokeAll(ctx, appID, openID); err != nil {
			t.Errorf("RevokeAll: %v", err)
		}
		if keys := f.redis.Dump(t); len(keys) != 1 || keys[f.redis.Prefix+"session:x"] != "other" {
			t.Errorf("%d keys are left, want the one that is not a session", len(keys))
		}
		f.mustLog(t, "not a hash")
	})

	t.Run("another users session", func(t *testing.T) {
		f := newFixture(t)
		other := f.login(t, "oOTHER", key(1))
		f.redis.Client.ZAdd(ctx, f.indexKey(openID), redis.Z{Score: 1, Member: member(other)})
		if keys, err := f.OtherSessionKeys(ctx, session.Session{AppID: appID, OpenID: openID}); err != nil || len(keys) != 0 {
			t.Errorf("OtherSessionKeys: %d keys, %v", len(keys), err)
		}
		f.mustFind(t, other)
		f.mustLog(t, "another user's")
	})
}

// beforeFirstEvalHook calls do once, before the first script runs.
type beforeFirstEvalHook struct {
	failingHook
	once *sync.Once
	do   func()
}

func (d beforeFirstEvalHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if strings.HasPrefix(cmd.Name(), "eval") {
			d.once.Do(d.do)
		}
		return next(ctx, cmd)
	}
}

func (d beforeFirstEvalHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if slices.ContainsFunc(cmds, func(c redis.Cmder) bool { return strings.HasPrefix(c.Name(), "eval") }) {
			d.once.Do(d.do)
		}
		return next(ctx, cmds)
	}
}

// If a login deleted the invalid index without checking its type, it would delete the index that another login has just
// created.
func TestStore_CreateConcurrentInvalidIndex(t *testing.T) {
	f := newFixture(t)
	f.redis.Client.Set(t.Context(), f.indexKey(openID), "x", 0)
	var first string
	client := f.client(t, beforeFirstEvalHook{once: &sync.Once{}, do: func() { first = f.login(t, openID, key(1)) }})
	second := f.restart(t, func(o *session.Options) { o.Redis = client }).login(t, openID, key(2))
	for _, token := range []string{first, second} {
		f.mustFind(t, token)
	}
	if n := len(f.members(t, openID)); n != 2 {
		t.Errorf("the index has %d members, want 2", n)
	}
}

// If many requests find the same kinds at once, each kind is still logged once.
func TestStore_InvalidRecordLoggedOnce(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t)
	sealed := f.redis.Client.Get(ctx, f.recordKey(f.login(t, "oOTHER", key(1)))).Val()
	var tokens []string
	for _, test := range badRecords {
		token := f.login(t, openID, sessionKey)
		f.redis.Client.Del(ctx, f.recordKey(token))
		test.write(f.redis.Client, f.recordKey(token), sealed)
		tokens = append(tokens, token)
	}
	f.redis.Client.ZAdd(ctx, f.indexKey(openID), redis.Z{Score: 1, Member: "x"})
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for _, token := range tokens {
				f.Lookup(ctx, token)
			}
			f.OtherSessionKeys(ctx, session.Session{AppID: appID, OpenID: openID})
		})
	}
	wg.Wait()
	f.mustLog(t, "wrong type", "wrong length", "unknown version", "unknown key", "altered or another token's", "not a hash")
	for _, hidden := range append(tokens, openID, sessionKey, fmt.Sprintf("%q", sealed)) {
		if strings.Contains(f.logs.String(), hidden) {
			t.Error("the log holds a value")
		}
	}

	again := f.restart(t)
	again.Lookup(ctx, tokens[0])
	if n := len(again.loggedKinds(t)); n != 1 {
		t.Errorf("a new Store logs %d lines for a kind, want 1", n)
	}
	f.restart(t, func(o *session.Options) { o.Logger = nil }).mustMiss(t, tokens[0])
}
