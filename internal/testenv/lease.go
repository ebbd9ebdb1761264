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
	lastDB        = 15               // a server has 16 logical databases unless told otherwise
	leaseTTL      = 30 * time.Second // a lease that is not renewed (the run crashed) ends after this
	renewInterval = leaseTTL / 3
	retryInterval = 20 * time.Millisecond
	waitLimit     = 2 * time.Minute // how long to wait for another test to end
	usedTTL       = 24 * time.Hour  // how long what a crashed run left behind counts as ours
)

// leasePrefix begins the keys of leases.
const leasePrefix = "wxlogin:test:"

// lockKey says in database 0 who has database n.
func lockKey(n int) string { return fmt.Sprintf("%sdb:%d", leasePrefix, n) }

// usedKey says in database 0 that what is in database n was written by tests.
func usedKey(n int) string { return fmt.Sprintf("%sused:%d", leasePrefix, n) }

var (
	errBusy        = errors.New("in use by another test")
	errForeignKeys = errors.New("holds keys that no test has written; it is left alone")
)

// Both do nothing when the lock is no longer this token's.
var (
	renewLock = redis.NewScript(
		`if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0`)
	releaseLock = redis.NewScript(
		`if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`)
)

// lease is the right of one test to one logical database of a shared server.
type lease struct {
	locks redis.UniversalClient // connected to database 0
	data  redis.UniversalClient // connected to database n; in a Cluster, which has only database 0, the same as locks
	n     int
	token string
}

// leaseRedis takes a free logical database of the server at url for the length of a test.
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
			t.Errorf("testenv: end of the lease of Redis database %d: %v", l.n, err)
		}
	})
	return &Redis{Client: l.data, URL: withDB(url, l.n)}
}

const unreadableURL = "testenv: TEST_REDIS_URL cannot be read (it is not shown, as it may hold a password)"

// waitForDatabase waits until one of the databases that o allows is free: the one that the URL names, or any but 0.
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

// acquireAny tries every database once. Its error says of each why not.
func acquireAny(ctx context.Context, o *redis.Options, first, last int) (*lease, error) {
	var refusals []error
	for n := first; n <= last; n++ {
		l := newLease(o, n)
		err := l.acquire(ctx)
		if err == nil {
			return l, nil
		}
		l.close()
		refusals = append(refusals, fmt.Errorf("logical database %d: %w", n, err))
	}
	return nil, errors.Join(refusals...)
}

func newLease(o *redis.Options, n int) *lease {
	zero, own := *o, *o
	zero.DB, own.DB = 0, n
	return &lease{locks: redis.NewClient(&zero), data: redis.NewClient(&own), n: n, token: rand.Text()}
}

// take locks the database and empties it of what an earlier run of tests has left. errBusy: somebody has it;
// errForeignKeys: what is in it was not written by tests.
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
	ours, err := l.locks.Exists(ctx, usedKey(l.n)).Result()
	if err != nil {
		return err
	}
	if len(keys) > 0 && ours == 0 {
		return errForeignKeys
	}
	if err := deleteAll(ctx, l.data); err != nil {
		return err
	}
	return l.locks.Set(ctx, usedKey(l.n), l.token, usedTTL).Err()
}

// keep renews the lock until stop is called.
func (l *lease) keepAlive() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(renewInterval)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				l.renew(ctx) // a failure shows in end, which asks again
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { cancel(); <-ended }
}

// renew reports whether the lock is still ours.
func (l *lease) renew(ctx context.Context) (bool, error) {
	n, err := renewLock.Run(ctx, l.locks, []string{lockKey(l.n)}, l.token, leaseTTL.Milliseconds()).Int()
	return n == 1, err
}

// end empties the database and gives it back. A database whose lock has been lost is not touched.
func (l *lease) release() error {
	defer l.close()
	ctx, cancel := context.WithTimeout(context.Background(), leaseTTL/2)
	defer cancel()
	held, err := l.renew(ctx)
	if err != nil {
		return err
	}
	if !held {
		return errors.New("its lock was lost during the test; it is left as it is")
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

// withDB puts the number of a logical database into a redis:// URL, keeping its options.
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
