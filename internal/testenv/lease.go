package testenv

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	lastDB        = 15               // a server has 16 logical databases by default
	leaseTTL      = 30 * time.Second // after a crash, a lease expires after this time
	renewInterval = leaseTTL / 3
	retryInterval = 20 * time.Millisecond
	waitLimit     = 2 * time.Minute // how long to wait for a database in use
	usedTTL       = 24 * time.Hour  // how long keys left behind by a crash count as written by tests
)

// leasePrefix is the prefix of the keys of leases.
const leasePrefix = "wxlogin:test:"

// lockKey is the key in database 0 that locks database n. Its value is the token of the lease.
func lockKey(n int) string { return fmt.Sprintf("%sdb:%d", leasePrefix, n) }

// usedKey is the key in database 0 that marks the keys in database n as written by tests.
func usedKey(n int) string { return fmt.Sprintf("%sused:%d", leasePrefix, n) }

var (
	errBusy        = errors.New("in use by another test")
	errForeignKeys = errors.New("holds keys that were not written by tests; left alone")
)

// Both scripts are no-ops if the lock has another token.
var (
	renewLock = redis.NewScript(
		`if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0`)
	releaseLock = redis.NewScript(
		`if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`)
)

// lease is a test's exclusive access to a logical database of a shared server.
type lease struct {
	locks redis.UniversalClient // connected to database 0
	data  redis.UniversalClient // connected to database n; in a Cluster, which has only database 0, the same as locks
	n     int
	token string
}

// leaseRedis leases a free logical database of the server at url until the end of the test.
func leaseRedis(t testing.TB, url string) *Redis {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(unreadableURL)
	}
	l, err := waitForDatabase(o)
	if err != nil {
		t.Fatalf("testenv: TEST_REDIS_URL: %v", err)
	}
	stop := l.keepAlive()
	t.Cleanup(func() {
		stop()
		if err := l.release(); err != nil {
			t.Errorf("testenv: release Redis database %d: %v", l.n, err)
		}
	})
	return &Redis{Client: l.data, URL: withDB(url, l.n)}
}

const unreadableURL = "testenv: TEST_REDIS_URL is invalid (not shown, it may contain a password)"

// waitForDatabase waits until a database that o allows is free: the one that the URL names, or any except 0.
func waitForDatabase(o *redis.Options) (*lease, error) {
	first, last := 1, lastDB
	if o.DB != 0 {
		first, last = o.DB, o.DB
	}
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	defer cancel()
	for {
		l, err := acquireAny(ctx, o, first, last)
		if !errors.Is(err, errBusy) {
			return l, err
		}
		select {
		case <-time.After(retryInterval):
		case <-ctx.Done():
			return nil, fmt.Errorf("no free logical database within %v: %w", waitLimit, err)
		}
	}
}

// acquireAny tries every database once. If none is available, the error has the reason for each.
func acquireAny(ctx context.Context, o *redis.Options, first, last int) (*lease, error) {
	var errs []error
	for n := first; n <= last; n++ {
		l := newLease(o, n)
		err := l.acquire(ctx)
		if err == nil {
			return l, nil
		}
		l.close()
		errs = append(errs, fmt.Errorf("logical database %d: %w", n, err))
	}
	return nil, errors.Join(errs...)
}

func newLease(o *redis.Options, n int) *lease {
	locks, data := *o, *o
	locks.DB, data.DB = 0, n
	return &lease{locks: redis.NewClient(&locks), data: redis.NewClient(&data), n: n, token: rand.Text()}
}

// acquire locks the database and deletes what an earlier run of tests has left in it. It returns errBusy if the
// database is locked, and errForeignKeys if it holds keys that were not written by tests.
func (l *lease) acquire(ctx context.Context) error {
	err := l.locks.SetArgs(ctx, lockKey(l.n), l.token, redis.SetArgs{Mode: "NX", TTL: leaseTTL}).Err()
	if errors.Is(err, redis.Nil) {
		return errBusy
	}
	if err != nil {
		return err
	}
	if err := l.removeLeftovers(ctx); err != nil {
		return errors.Join(err, l.unlock(ctx))
	}
	return nil
}

func (l *lease) removeLeftovers(ctx context.Context) error {
	keys, err := allKeys(ctx, l.data)
	if err != nil {
		return err
	}
	used, err := l.locks.Exists(ctx, usedKey(l.n)).Result()
	if err != nil {
		return err
	}
	if len(keys) > 0 && used == 0 {
		return errForeignKeys
	}
	if err := deleteAll(ctx, l.data); err != nil {
		return err
	}
	return l.locks.Set(ctx, usedKey(l.n), l.token, usedTTL).Err()
}

// keepAlive renews the lock until stop is called.
func (l *lease) keepAlive() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(renewInterval)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				l.renew(ctx) // release renews it again and reports failures
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { cancel(); <-done }
}

// renew extends the lock and reports whether this lease still holds it.
func (l *lease) renew(ctx context.Context) (bool, error) {
	n, err := renewLock.Run(ctx, l.locks, []string{lockKey(l.n)}, l.token, leaseTTL.Milliseconds()).Int()
	return n == 1, err
}

// release empties and unlocks the database. If the lock has been lost, it does not touch the database.
func (l *lease) release() error {
	defer l.close()
	ctx, cancel := context.WithTimeout(context.Background(), leaseTTL/2)
	defer cancel()
	held, err := l.renew(ctx)
	if err != nil {
		return err
	}
	if !held {
		return errors.New("the lock was lost during the test; database left as it is")
	}
	if err := deleteAll(ctx, l.data); err != nil {
		return err
	}
	return errors.Join(l.locks.Del(ctx, usedKey(l.n)).Err(), l.unlock(ctx))
}

func (l *lease) unlock(ctx context.Context) error {
	return releaseLock.Run(ctx, l.locks, []string{lockKey(l.n)}, l.token).Err()
}

func (l *lease) close() {
	l.locks.Close()
	if l.data != l.locks {
		l.data.Close()
	}
}

// withDB sets the logical database in a redis:// URL and keeps its options.
func withDB(url string, n int) string {
	scheme, rest, _ := strings.Cut(url, "://")
	rest, options, hasOptions := strings.Cut(rest, "?")
	host, _, _ := strings.Cut(rest, "/")
	url = fmt.Sprintf("%s://%s/%d", scheme, host, n)
	if hasOptions {
		url += "?" + options
	}
	return url
}
