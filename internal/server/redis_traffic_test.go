package server

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/session"
)

const (
	trafficApp   = "wx0123456789abcdef"
	settledUsers = 200
	// stepTimeout is what the handlers give each step that waits for Redis.
	stepTimeout = time.Second
)

// traffic begins, looks up and ends sessions while Redis fails over, on the client that the server uses.
type traffic struct {
	*testing.T
	client redis.UniversalClient
	store  *session.Store

	settled map[string]string // token to openid, of sessions that master and replica have
	lost    map[string]bool   // which of them are on the master that ends
	ended   []string          // tokens of sessions whose end both have

	mu      sync.Mutex
	refused map[string]refusal // by token; "" is of sessions that were to begin
	begun   map[string]string  // token to openid, of sessions that began meanwhile
	calls   int
}

// refusal is when the lookups of a token failed.
type refusal struct{ first, last time.Time }

// newTraffic begins the sessions that must survive, and ends those that must stay ended.
func newTraffic(t *testing.T, c Config) *traffic {
	t.Helper()
	client, err := openRedis(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	tr := &traffic{
		T: t, client: client,
		settled: make(map[string]string), refused: make(map[string]refusal), begun: make(map[string]string),
	}
	tr.store, err = session.New(session.Options{
		Redis: client, Apps: []session.App{{AppID: trafficApp, Secret: "0123456789abcdef0123456789abcdef"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for n := range settledUsers {
		openID := fmt.Sprint("settled", n)
		tr.settled[tr.mustBegin(t, openID)] = openID
		ended := tr.mustBegin(t, fmt.Sprint("ended", n))
		if err := tr.store.Revoke(t.Context(), ended); err != nil {
			t.Fatal(err)
		}
		tr.ended = append(tr.ended, ended)
	}
	return tr
}

func (tr *traffic) mustBegin(t *testing.T, openID string) string {
	t.Helper()
	token, err := tr.begin(t.Context(), openID)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (tr *traffic) begin(ctx context.Context, openID string) (string, error) {
	return tr.store.Create(ctx, session.Session{AppID: trafficApp, OpenID: openID, SessionKey: "tiihtNczf5v6AKRyjwEUhQ=="})
}

// run goes on until stop is called, on several goroutines.
func (tr *traffic) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var workers sync.WaitGroup
	for token, openID := range tr.settled {
		workers.Go(func() {
			for ctx.Err() == nil {
				tr.lookUp(token, openID)
				pause(ctx, 20*time.Millisecond)
			}
		})
	}
	for n := range 4 {
		workers.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				tr.beginAndEnd(fmt.Sprint("user", n, "-", i%10), i)
				tr.stayEnded(tr.ended[(i*4+n)%len(tr.ended)])
			}
		})
	}
	return func() { cancel(); workers.Wait() }
}

// lookUp asks for a session that must be there.
func (tr *traffic) lookUp(token, openID string) {
	ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
	defer cancel()
	begin := time.Now()
	sess, err := tr.store.Lookup(ctx, token)
	if err == nil && sess.OpenID != openID {
		tr.Errorf("the token of %s is of %s", openID, sess.OpenID)
	}
	tr.note(token, begin, err)
}

// beginAndEnd begins a session, and ends every second one.
func (tr *traffic) beginAndEnd(openID string, n int) {
	ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
	defer cancel()
	begin := time.Now()
	token, err := tr.begin(ctx, openID)
	tr.note("", begin, err)
	if err != nil {
		return
	}
	if n%2 == 0 {
		tr.mu.Lock()
		tr.begun[token] = openID
		tr.mu.Unlock()
		return
	}
	tr.note("", begin, tr.store.Revoke(ctx, token))
}

// stayEnded asks for a session that must not be there.
func (tr *traffic) stayEnded(token string) {
	ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
	defer cancel()
	if _, err := tr.store.Lookup(ctx, token); !errors.Is(err, session.ErrNotFound) && !errors.Is(err, session.ErrUnavailable) {
		tr.Errorf("of a session that has ended: %v", err)
	}
}

// note counts a call. A refusal must say that Redis cannot be asked, and never that there is no such session.
func (tr *traffic) note(token string, begin time.Time, err error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.calls++
	if err == nil {
		return
	}
	if !errors.Is(err, session.ErrUnavailable) || errors.Is(err, session.ErrNotFound) {
		tr.Errorf("%v, want ErrUnavailable", err)
	}
	r := tr.refused[token]
	if r.first.IsZero() {
		r.first = begin
	}
	r.last = time.Now()
	tr.refused[token] = r
}

// waitForRefusal waits until a lookup has failed.
func (tr *traffic) waitForRefusal() {
	tr.Helper()
	tr.await("no session was ever unavailable", func() bool {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		return len(tr.refused) > 0
	})
}

// waitForAll waits until all sessions are found again.
func (tr *traffic) waitForAll() {
	tr.Helper()
	tr.await("sessions stay unavailable", func() bool {
		for token := range tr.settled {
			ctx, cancel := context.WithTimeout(tr.Context(), stepTimeout)
			_, err := tr.store.Lookup(ctx, token)
			cancel()
			if err != nil {
				return false
			}
		}
		return true
	})
}

func (tr *traffic) await(complaint string, done func() bool) {
	tr.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); pause(tr.Context(), 10*time.Millisecond) {
		if time.Now().After(deadline) {
			tr.Fatal(complaint)
		}
	}
}

// report logs how long sessions could not be asked for.
func (tr *traffic) report(ended time.Time) {
	tr.Helper()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	var longest, last time.Duration
	unavailable := 0
	for token, r := range tr.refused {
		if tr.settled[token] != "" {
			unavailable++
		}
		longest, last = max(longest, r.last.Sub(r.first)), max(last, r.last.Sub(ended))
	}
	tr.Logf("%d calls; %d of %d sessions were unavailable, for %.1f s at most; all well %.1f s after the end of the master",
		tr.calls, unavailable, len(tr.settled), longest.Seconds(), last.Seconds())
}

// wantNewSessions fails unless sessions begin and end on every node again, and those begun now are found.
func (tr *traffic) wantNewSessions() {
	tr.Helper()
	for n := range 50 {
		openID := fmt.Sprint("new", n)
		token := tr.mustBegin(tr.T, openID)
		if sess, err := tr.store.Lookup(tr.Context(), token); err != nil || sess.OpenID != openID {
			tr.Errorf("a session begun after the failover: %v", err)
		}
		if err := tr.store.RevokeAll(tr.Context(), trafficApp, openID); err != nil {
			tr.Error(err)
		}
	}
	for token, openID := range tr.begun { // some may be lost: the replica had not heard of them when the master died
		sess, err := tr.store.Lookup(tr.Context(), token)
		if err == nil && sess.OpenID != openID || err != nil && !errors.Is(err, session.ErrNotFound) {
			tr.Errorf("a session begun during the failover: %v, %v", sess, err)
		}
	}
}

// wantExpiries fails for a key that would stay for ever.
func wantExpiries(t *testing.T, client redis.UniversalClient) {
	t.Helper()
	look := func(ctx context.Context, node *redis.Client) error {
		keys := node.Scan(ctx, 0, "", 1000).Iterator()
		for keys.Next(ctx) {
			if ttl, err := node.PTTL(ctx, keys.Val()).Result(); err != nil || ttl == -1 {
				t.Errorf("%s stays for ever (%v)", keys.Val(), err)
			}
		}
		return keys.Err()
	}
	var err error
	if cluster, ok := client.(*redis.ClusterClient); ok {
		err = cluster.ForEachMaster(t.Context(), look)
	} else {
		err = look(t.Context(), client.(*redis.Client))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// indexKey is where a user's index stands.
func indexKey(openID string) string {
	return session.DefaultKeyPrefix + "sessions:" + trafficApp + ":" + openID
}

// recordKey is where a token's record stands.
func recordKey(token string) string {
	hash := sha256.Sum256([]byte(token))
	return session.DefaultKeyPrefix + "session:" + base64.RawURLEncoding.EncodeToString(hash[:])
}
