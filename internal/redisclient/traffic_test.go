package redisclient_test

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

	"wxlogin/internal/redisclient"
	"wxlogin/internal/testenv/redistest"
	"wxlogin/session"
)

const (
	trafficApp   = "wx0123456789abcdef"
	settledUsers = 200
	// stepTimeout is handlers.DefaultStorageTimeout.
	stepTimeout = time.Second
)

// traffic creates, looks up and revokes sessions while Redis fails over, with the server's client.
type traffic struct {
	*testing.T
	client redis.UniversalClient
	store  *session.Store

	settled map[string]string // openid by token, of sessions that are on a master and its replica
	lost    map[string]bool   // those of settled that are on the master that ends
	ended   []string          // tokens of sessions that are revoked on both

	mu      sync.Mutex
	refused map[string]refusal // by token; "" for sessions that were to be created
	begun   map[string]string  // openid by token, of sessions that were created during the failover
	calls   int
}

// refusal is the time in which the lookups of a token failed.
type refusal struct{ first, last time.Time }

// newTraffic creates the sessions that must survive, and revokes those that must stay revoked.
func newTraffic(t *testing.T, o redisclient.Options) *traffic {
	t.Helper()
	client := newClient(t, o)
	tr := &traffic{
		T: t, client: client,
		settled: make(map[string]string), refused: make(map[string]refusal), begun: make(map[string]string),
	}
	tr.store = newSessions(t, client, 0)
	for n := range settledUsers {
		openID := fmt.Sprint("settled", n)
		tr.settled[tr.mustCreate(t, openID)] = openID
		ended := tr.mustCreate(t, fmt.Sprint("ended", n))
		if err := tr.store.Revoke(t.Context(), ended); err != nil {
			t.Fatal(err)
		}
		tr.ended = append(tr.ended, ended)
	}
	return tr
}

func (tr *traffic) mustCreate(t *testing.T, openID string) string {
	t.Helper()
	token, err := tr.create(t.Context(), openID)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (tr *traffic) create(ctx context.Context, openID string) (string, error) {
	return tr.store.Create(ctx, session.Session{AppID: trafficApp, OpenID: openID, SessionKey: "tiihtNczf5v6AKRyjwEUhQ=="})
}

// run makes calls in several goroutines until stop is called.
func (tr *traffic) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var workers sync.WaitGroup
	for token, openID := range tr.settled {
		workers.Go(func() {
			for ctx.Err() == nil {
				tr.lookUp(token, openID)
				sleep(ctx, 20*time.Millisecond)
			}
		})
	}
	for n := range 4 {
		workers.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				tr.createAndRevoke(fmt.Sprint("user", n, "-", i%10), i)
				tr.checkRevoked(tr.ended[(i*4+n)%len(tr.ended)])
			}
		})
	}
	return func() { cancel(); workers.Wait() }
}

// lookUp looks up a session that must exist.
func (tr *traffic) lookUp(token, openID string) {
	ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
	defer cancel()
	begin := time.Now()
	sess, err := tr.store.Lookup(ctx, token)
	if err == nil && sess.OpenID != openID {
		tr.Errorf("the token of %s is of %s", openID, sess.OpenID)
	}
	tr.record(token, begin, err)
}

// createAndRevoke creates a session, and revokes it if n is odd.
func (tr *traffic) createAndRevoke(openID string, n int) {
	ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
	defer cancel()
	begin := time.Now()
	token, err := tr.create(ctx, openID)
	tr.record("", begin, err)
	if err != nil {
		return
	}
	if n%2 == 0 {
		tr.mu.Lock()
		tr.begun[token] = openID
		tr.mu.Unlock()
		return
	}
	tr.record("", begin, tr.store.Revoke(ctx, token))
}

// checkRevoked looks up a session that must not exist.
func (tr *traffic) checkRevoked(token string) {
	ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
	defer cancel()
	if _, err := tr.store.Lookup(ctx, token); !errors.Is(err, session.ErrNotFound) && !errors.Is(err, session.ErrUnavailable) {
		tr.Errorf("a revoked session: %v", err)
	}
}

// record records a call. An error must be ErrUnavailable, and never ErrNotFound.
func (tr *traffic) record(token string, begin time.Time, err error) {
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

// waitForRefusal waits until a call has failed.
func (tr *traffic) waitForRefusal() {
	tr.Helper()
	waitUntil(tr.T, "no session was ever unavailable", func() bool {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		return len(tr.refused) > 0
	})
}

// waitForAll waits until all sessions are found again.
func (tr *traffic) waitForAll() {
	tr.Helper()
	waitUntil(tr.T, "sessions stay unavailable", func() bool {
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

// report logs how long sessions were unavailable.
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
	tr.Logf("%d calls; %d of %d sessions were unavailable, for at most %.1f s; the last error was %.1f s after the end of the master",
		tr.calls, unavailable, len(tr.settled), longest.Seconds(), last.Seconds())
}

// wantNewSessions fails unless sessions can be created and revoked on every node again, and new sessions are found.
func (tr *traffic) wantNewSessions() {
	tr.Helper()
	for n := range 50 {
		openID := fmt.Sprint("new", n)
		token := tr.mustCreate(tr.T, openID)
		if sess, err := tr.store.Lookup(tr.Context(), token); err != nil || sess.OpenID != openID {
			tr.Errorf("a session created after the failover: %v", err)
		}
		if err := tr.store.RevokeAll(tr.Context(), trafficApp, openID); err != nil {
			tr.Error(err)
		}
	}
	for token, openID := range tr.begun { // some may be lost: the master died before it had replicated them
		sess, err := tr.store.Lookup(tr.Context(), token)
		if err == nil && sess.OpenID != openID || err != nil && !errors.Is(err, session.ErrNotFound) {
			tr.Errorf("a session created during the failover: %v, %v", sess, err)
		}
	}
}

// wantExpiries fails if a key has no TTL.
func wantExpiries(t *testing.T, client redis.UniversalClient) {
	t.Helper()
	check := func(ctx context.Context, node *redis.Client) error {
		keys := node.Scan(ctx, 0, "", 1000).Iterator()
		for keys.Next(ctx) {
			if ttl, err := node.PTTL(ctx, keys.Val()).Result(); err != nil || ttl == -1 {
				t.Errorf("%s has no TTL (%v)", keys.Val(), err)
			}
		}
		return keys.Err()
	}
	var err error
	if cluster, ok := client.(*redis.ClusterClient); ok {
		err = cluster.ForEachMaster(t.Context(), check)
	} else {
		err = check(t.Context(), client.(*redis.Client))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// indexKey returns the Redis key of a user's index.
func indexKey(openID string) string {
	return session.DefaultKeyPrefix + "sessions:" + trafficApp + ":" + openID
}

// recordKey returns the Redis key of a token's record.
func recordKey(token string) string {
	hash := sha256.Sum256([]byte(token))
	return session.DefaultKeyPrefix + "session:" + base64.RawURLEncoding.EncodeToString(hash[:])
}

// wantReady fails if GET /readyz would, which waits for a second. Most masters reply, though not always in time on a busy
// machine, so one try of a few must succeed. All of them end before a replica takes over.
func wantReady(t *testing.T, client redis.UniversalClient) {
	t.Helper()
	sessions := newSessions(t, client, 0)
	var err error
	for range 4 {
		ctx, cancel := context.WithTimeout(t.Context(), 900*time.Millisecond)
		err = sessions.Ready(ctx)
		cancel()
		if err == nil {
			return
		}
	}
	t.Error(err)
}

// settle chooses the master that is to end, and waits until its replica has all data.
func (tr *traffic) settle(cluster *redistest.Cluster, number int) (victim *redistest.Server) {
	tr.Helper()
	masters, err := cluster.Masters(tr.Context())
	if err != nil {
		tr.Fatal(err)
	}
	victim = masters[number]
	if err := redistest.WaitForReplica(tr.Context(), victim); err != nil {
		tr.Fatal(err)
	}
	tr.lost = make(map[string]bool)
	for token := range tr.settled {
		master, err := cluster.MasterOf(tr.Context(), recordKey(token))
		if err != nil {
			tr.Fatal(err)
		}
		tr.lost[token] = master == victim
	}
	return victim
}
