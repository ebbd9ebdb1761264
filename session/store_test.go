package session_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
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

// The age is exact to the millisecond, as CreatedAt: a limit of 5 minutes includes 5 minutes.
func TestStore_Age(t *testing.T) {
	f := newFixture(t)
	token, err := f.Create(t.Context(), session.Session{AppID: appID, OpenID: openID, SessionKey: sessionKey})
	if err != nil {
		t.Fatal(err)
	}
	sess, err := f.Lookup(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	for _, age := range []time.Duration{0, 5 * time.Minute, 5*time.Minute + time.Millisecond} {
		f.clock.Advance(age - f.Age(sess))
		if got := f.Age(sess); got != age {
			t.Errorf("%v, want %v", got, age)
		}
	}
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

func TestStore_Ready(t *testing.T) {
	t.Run("leaves only keys that expire", func(t *testing.T) {
		f := newFixture(t)
		for range 3 {
			if err := f.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		keys := f.redis.Dump(t)
		if n := len(keys); n != 2 && !(isCluster(f.redis.Client) && n > 0 && n%2 == 0) { // on each master of a Cluster
			t.Errorf("%d keys, want a record's and an index's", n)
		}
		for key := range keys {
			ttl := f.redis.TTL(t, key)
			if !strings.HasPrefix(key, f.redis.Prefix+"ready:") || ttl <= 0 || ttl > time.Minute {
				t.Errorf("%s expires in %v", key, ttl)
			}
		}
		f.advance(t, time.Minute)
		if n := len(f.redis.Dump(t)); n != 0 {
			t.Errorf("%d keys are left a minute later", n)
		}
		f.mustLog(t)
	})

	t.Run("costs one round trip", func(t *testing.T) {
		f := newFixture(t)
		f.login(t, openID, sessionKey) // now Redis knows the script
		var sent [][]string
		client := f.client(t, recordingHook{&sent})
		f = f.restart(t, func(o *session.Options) { o.Redis = client })
		f.login(t, openID, sessionKey) // now the connection exists
		sent = nil
		if err := f.Ready(t.Context()); err != nil || len(sent) > 1 && !isCluster(client) {
			t.Errorf("%d round trips, %v", len(sent), err)
		}
	})

	t.Run("instances do not interfere", func(t *testing.T) {
		f := newFixture(t)
		var wg sync.WaitGroup
		for range 16 {
			g := f.restart(t)
			wg.Go(func() {
				for range 20 {
					if err := g.Ready(context.Background()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
	})

	t.Run("unreachable redis is an error", func(t *testing.T) {
		if err := newFixture(t, unreachable).Ready(t.Context()); !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("%v, want ErrUnavailable", err)
		}
	})
}

func isCluster(client redis.UniversalClient) bool {
	_, ok := client.(*redis.ClusterClient)
	return ok
}

// If Redis replies but cannot be used, it is not ready, and the error wraps its reply.
func TestStore_ReadyErrors(t *testing.T) {
	for _, reply := range []string{
		"READONLY You can't write against a read only replica.", "OOM command not allowed when used memory > 'maxmemory'.",
		"MISCONF Redis is configured to save RDB snapshots", "LOADING Redis is loading the dataset in memory",
		"MASTERDOWN Link with MASTER is down", "NOREPLICAS Not enough good replicas to write.", "NOAUTH Authentication required.",
		"NOPERM this user has no permissions", "MOVED 1 127.0.0.1:1", "CLUSTERDOWN The cluster is down",
	} {
		server := miniredis.RunT(t)
		client := redis.NewClient(&redis.Options{Addr: server.Addr(), MaxRetries: -1})
		defer client.Close()
		f := newFixture(t, func(o *session.Options) { o.Redis = client })
		server.SetError(reply)
		err := f.Ready(t.Context())
		if word, _, _ := strings.Cut(reply, " "); !errors.Is(err, session.ErrUnavailable) || !redis.HasErrorPrefix(err, word) {
			t.Errorf("%s: %v", reply, err)
		}
		server.SetError("")
		if err := f.Ready(t.Context()); err != nil {
			t.Errorf("after the error is gone: %v", err)
		}
	}
}

// A Cluster is ready if most of its masters accept the commands of a login.
func TestStore_ReadyCluster(t *testing.T) {
	c := newCluster(t, 3)
	f := newFixture(t, func(o *session.Options) { o.Redis = c.ClusterClient })
	for n, want := range []bool{true, true, false, false} {
		if n > 0 {
			c.nodes[n-1].SetError("READONLY You can't write against a read only replica.")
		}
		err := f.Ready(t.Context())
		if (err == nil) != want || err != nil && (!errors.Is(err, session.ErrUnavailable) || !redis.HasErrorPrefix(err, "READONLY")) {
			t.Errorf("%d of 3 masters refuse: %v", n, err)
		}
	}
	for _, node := range c.nodes {
		node.SetError("")
	}
	for _, node := range c.nodes {
		if len(node.Keys()) > 2 {
			t.Errorf("a master has %d keys", len(node.Keys()))
		}
		for _, key := range node.Keys() {
			if node.TTL(key) <= 0 {
				t.Error("a key that never expires")
			}
		}
	}
}

func BenchmarkStore_Create(b *testing.B) {
	f := newFixture(b)
	ctx := context.Background()
	n := 0
	for b.Loop() {
		n++
		if _, err := f.Create(ctx, session.Session{AppID: appID, OpenID: fmt.Sprint("o", n), SessionKey: sessionKey}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStore_Lookup(b *testing.B) {
	f := newFixture(b)
	ctx := context.Background()
	token := f.login(b, openID, sessionKey)
	for b.Loop() {
		if _, err := f.Lookup(ctx, token); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStore_Lookup_among looks up sessions in a Redis that holds many, one per user, and reports how much memory a
// session takes there with its index:
//
//	TEST_REDIS_URL=redis://127.0.0.1:6379/0 BENCH_SESSIONS=1000,1000000 go test -run '^$' -bench Lookup_among ./session
//
// The embedded engine does not report its memory.
func BenchmarkStore_Lookup_among(b *testing.B) {
	sizes := os.Getenv("BENCH_SESSIONS")
	if sizes == "" {
		sizes = "1000"
	}
	for text := range strings.SplitSeq(sizes, ",") {
		size, err := strconv.Atoi(text)
		if err != nil || size < 1 {
			b.Fatalf("BENCH_SESSIONS: %q is not a number of sessions", text)
		}
		b.Run(text, func(b *testing.B) { lookupAmong(b, size) })
	}
}

func lookupAmong(b *testing.B, size int) {
	f := newFixture(b)
	f.fill(b, -fillWorkers, fillWorkers) // connections take memory too
	before := f.memory(b)
	tokens := f.fill(b, 0, size)
	taken := f.memory(b) - before
	ctx := context.Background()
	for b.Loop() {
		if _, err := f.Lookup(ctx, tokens[rand.IntN(len(tokens))]); err != nil {
			b.Fatal(err)
		}
	}
	if taken > 0 {
		b.ReportMetric(float64(taken)/float64(size), "B/session")
	}
}

// fillWorkers is how many sessions fill creates concurrently.
const fillWorkers = 32

// fill creates size sessions, one per user. first is the number of the first user.
func (f *fixture) fill(b *testing.B, first, size int) []string {
	b.Helper()
	tokens := make([]string, size)
	errs := make([]error, fillWorkers)
	var filling sync.WaitGroup
	for w := range fillWorkers {
		filling.Go(func() {
			for i := w; i < size && errs[w] == nil; i += fillWorkers {
				user := fmt.Sprintf("oGZUI0egBJY1zhBYw2Kh%08d", first+i)
				sess := session.Session{AppID: appID, OpenID: user, SessionKey: sessionKey}
				tokens[i], errs[w] = f.Create(context.Background(), sess)
			}
		})
	}
	filling.Wait()
	for _, err := range errs {
		if err != nil {
			b.Fatal(err)
		}
	}
	return tokens
}

var usedMemory = regexp.MustCompile(`(?m)^used_memory:(\d+)`)

// memory returns used_memory of Redis in bytes, 0 if Redis does not report it.
func (f *fixture) memory(b *testing.B) int {
	b.Helper()
	info, err := f.redis.Client.Info(b.Context(), "memory").Result()
	m := usedMemory.FindStringSubmatch(info)
	if err != nil || m == nil {
		return 0
	}
	bytes, err := strconv.Atoi(m[1])
	if err != nil {
		b.Fatal(err)
	}
	return bytes
}
