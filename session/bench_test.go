package session_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"wxlogin/session"
)

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
