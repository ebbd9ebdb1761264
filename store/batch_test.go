package store_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"wxlogin/internal/batch"
	"wxlogin/store"
)

// gate blocks as many statements as may be in flight, so that later calls queue.
type gate struct {
	blocked atomic.Int64
	closed  chan struct{}
	open    func()
	calls   sync.WaitGroup // they end once the gate is open, before the test ends
}

// newGate blocks the next statements with a verb.
func newGate(t *testing.T, w *wire, verb string) *gate {
	t.Helper()
	g := &gate{closed: make(chan struct{})}
	g.open = sync.OnceFunc(func() { close(g.closed) })
	t.Cleanup(g.release)
	w.reset()
	w.sabotage(func(sql string) error {
		if strings.HasPrefix(sql, verb) && g.blocked.Add(1) <= batch.MaxInFlight {
			<-g.closed
		}
		return nil
	}, nil)
	return g
}

// waitFor waits until n statements are blocked.
func (g *gate) waitFor(t testing.TB, n int) {
	t.Helper()
	waitFor(t, func() bool { return g.blocked.Load() == int64(n) })
}

// release opens the gate and waits for all calls.
func (g *gate) release() {
	g.open()
	g.calls.Wait()
}

func waitFor(t testing.TB, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !condition(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("waited for a minute")
		}
	}
}

// loaderFixture is a fixture whose first reads block.
type loaderFixture struct {
	*fixture
	*gate
}

// newLoaderFixture creates users oUser0 and so on in both apps, and blocks as many reads as may be in flight.
func newLoaderFixture(t *testing.T, users int) *loaderFixture {
	t.Helper()
	c := &loaderFixture{fixture: newFixture(t)}
	for i := range users {
		c.login(appA, fmt.Sprintf("oUser%d", i), "")
		c.login(appB, fmt.Sprintf("oUser%d", i), "")
	}
	c.gate = newGate(t, c.wire, "SELECT")
	for i := range batch.MaxInFlight {
		c.find(t.Context(), appA, "oUser0", nil)
		c.waitFor(t, i+1)
	}
	return c
}

// find finds a user in a goroutine, which ends before the test does.
func (c *loaderFixture) find(ctx context.Context, app, openID string, then func(store.User, error)) {
	c.calls.Go(func() {
		user, err := c.users.Find(ctx, app, openID)
		if then != nil {
			then(user, err)
		}
	})
}

// wantFound checks, in a goroutine, that the right user is found.
func (c *loaderFixture) wantFound(app, openID string) {
	want := c.row("SELECT user_id FROM wechat_identities WHERE appid = ? AND openid = ?", app, openID)["user_id"]
	c.find(c.t.Context(), app, openID, func(user store.User, err error) {
		if err != nil || fmt.Sprint(user.ID) != want {
			c.t.Errorf("%s in %s: user %d, error %v; want user %s", openID, app, user.ID, err, want)
		}
	})
}

func (c *loaderFixture) waitForQueued(n int) {
	c.t.Helper()
	waitFor(c.t, func() bool { return c.db.QueuedLoads() == n })
}

// batches returns the statements that look up several users.
func (c *loaderFixture) batches() (sent []statement) {
	for _, s := range c.wire.statements() {
		if strings.Contains(s.sql, " IN (?") {
			sent = append(sent, s)
		}
	}
	return sent
}

func TestUserLoader(t *testing.T) {
	t.Run("queued lookups share a statement", func(t *testing.T) {
		for name, tt := range map[string]struct{ users, statements int }{
			"one": {1, 1}, "four": {4, 1}, "five": {5, 1}, "sixteen": {16, 1}, "more": {33, 3},
		} {
			t.Run(name, func(t *testing.T) {
				c := newLoaderFixture(t, tt.users)
				for i := range tt.users {
					c.wantFound(appA, fmt.Sprintf("oUser%d", i))
				}
				c.waitForQueued(tt.users)
				c.release()
				if got := len(c.batches()); got != tt.statements {
					t.Errorf("%d statements, want %d", got, tt.statements)
				}
			})
		}
	})

	t.Run("many lookups of one user", func(t *testing.T) {
		c := newLoaderFixture(t, 1)
		for range 10 {
			c.wantFound(appA, "oUser0")
		}
		c.find(t.Context(), appA, "oUnknown", func(_ store.User, err error) {
			if !errors.Is(err, store.ErrNotFound) {
				t.Errorf("unknown user: %v", err)
			}
		})
		c.waitForQueued(11)
		c.release()
		if got := len(c.batches()); got != 1 {
			t.Errorf("%d statements, want 1", got)
		}
	})

	t.Run("keeps apps apart", func(t *testing.T) {
		c := newLoaderFixture(t, 3)
		for i := range 3 {
			c.wantFound(appA, fmt.Sprintf("oUser%d", i))
			c.wantFound(appB, fmt.Sprintf("oUser%d", i))
		}
		c.waitForQueued(6)
		c.release()
		if got := len(c.batches()); got != 2 {
			t.Errorf("%d statements, want one for each app", got)
		}
	})

	// A cancelled call returns immediately and does not fail the others: neither while it is queued nor while its
	// batch runs.
	t.Run("a cancelled lookup does not fail the others", func(t *testing.T) {
		c := newLoaderFixture(t, 2)
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error)
		c.find(ctx, appA, "oUser0", func(_ store.User, err error) { gone <- err })
		c.waitForQueued(1)
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled in the queue: %v", err)
		}

		ctx, cancel = context.WithCancel(t.Context())
		c.wire.sabotage(func(string) error { // while the statement runs
			cancel()
			if err := <-gone; !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled while the batch runs: %v", err)
			}
			return nil
		}, nil)
		c.find(ctx, appA, "oUser0", func(_ store.User, err error) { gone <- err })
		c.waitForQueued(2) // the first is still in the queue
		c.wantFound(appA, "oUser1")
		c.waitForQueued(3)
		c.release()
		sent := c.batches()
		if len(sent) != 1 || sent[0].args[1].Value != "oUser0" || sent[0].args[2].Value != "oUser1" {
			t.Errorf("sent %v", sent)
		}
	})

	t.Run("an error fails one statement", func(t *testing.T) {
		c := newLoaderFixture(t, 2)
		c.wire.sabotage(func(sql string) error {
			if strings.Contains(sql, " IN (?") {
				return &mysql.MySQLError{Number: 1317, Message: "Query execution was interrupted"}
			}
			return nil
		}, nil)
		for i := range 2 {
			c.find(t.Context(), appA, fmt.Sprintf("oUser%d", i), func(_ store.User, err error) {
				if !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("error %v, want ErrUnavailable", err)
				}
			})
		}
		c.waitForQueued(2)
		c.release()
		c.wantFound(appA, "oUser1")
		c.calls.Wait()
	})

	// If the statements in flight hang, new calls bypass the queue.
	t.Run("bypasses hanging statements", func(t *testing.T) {
		c := newLoaderFixture(t, 2)
		found := make(chan error)
		c.find(t.Context(), appA, "oUser0", func(_ store.User, err error) { found <- err })
		c.waitForQueued(1)
		c.clock.advance(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := c.users.Find(ctx, appA, "oUser1"); err != nil {
			t.Error(err)
		}
		if err := <-found; err != nil {
			t.Errorf("the queued call: %v", err)
		}
		if got := c.blocked.Load(); got != batch.MaxInFlight+2 {
			t.Errorf("%d statements", got)
		}
	})
}

// creatorFixture is a fixture with as many first logins in flight as possible, which block until the gate opens:
// further ones queue.
type creatorFixture struct {
	*fixture
	*gate
}

func newCreatorFixture(t *testing.T) *creatorFixture {
	t.Helper()
	r := &creatorFixture{fixture: newFixture(t)}
	r.gate = newGate(t, r.wire, "BEGIN")
	for i := range batch.MaxInFlight {
		r.firstLogin(store.Identity{AppID: appA, OpenID: fmt.Sprintf("oBusy%d", i)}, func(store.User, bool, error) {})
		r.waitFor(t, i+1)
	}
	return r
}

// person returns an identity; every second one has a unionid.
func person(i int) store.Identity {
	id := store.Identity{AppID: []string{appA, appB, appC}[i%3], OpenID: fmt.Sprintf("oUser%d", i)}
	if i%2 == 1 {
		id.UnionID = fmt.Sprintf("uUser%d", i)
	}
	return id
}

// firstLogin logs in, in a goroutine.
func (r *creatorFixture) firstLogin(id store.Identity, then func(user store.User, created bool, err error)) {
	r.calls.Go(func() {
		then(r.users.Login(r.t.Context(), id))
	})
}

func (r *creatorFixture) waitForQueued(n int) {
	r.t.Helper()
	waitFor(r.t, func() bool { return r.db.QueuedCreates() == n })
}

// wantCreated checks that an identity belongs to the returned user.
func (f *fixture) wantCreated(id store.Identity, user store.User) {
	f.t.Helper()
	owner := f.row("SELECT u.id, COALESCE(u.unionid, '') AS unionid FROM wechat_identities i JOIN users u ON u.id = i.user_id "+
		"WHERE i.appid = ? AND i.openid = ?", id.AppID, id.OpenID)
	if owner["id"] != fmt.Sprint(user.ID) || owner["unionid"] != id.UnionID || user.UnionID != id.UnionID {
		f.t.Errorf("%s is user %s (%s); returned was user %d (%s)", id.OpenID, owner["id"], owner["unionid"], user.ID, user.UnionID)
	}
}

func TestUserCreator(t *testing.T) {
	t.Run("queued first logins share a transaction", func(t *testing.T) {
		for name, tt := range map[string]struct{ people, transactions int }{
			"one": {1, 1}, "seven": {7, 1}, "sixteen": {16, 1}, "more": {33, 3},
		} {
			t.Run(name, func(t *testing.T) {
				r := newCreatorFixture(t)
				users := make([]store.User, tt.people)
				for i := range tt.people {
					r.firstLogin(person(i), func(user store.User, created bool, err error) {
						if err != nil || !created {
							t.Errorf("person %d: created %v, error %v", i, created, err)
						}
						users[i] = user
					})
				}
				r.waitForQueued(tt.people)
				r.release()
				begins := 0
				for _, verb := range r.wire.verbs() {
					if verb == "BEGIN" {
						begins++
					}
				}
				if begins != batch.MaxInFlight+tt.transactions {
					t.Errorf("%d transactions, want %d and %d", begins, batch.MaxInFlight, tt.transactions)
				}
				for i, user := range users {
					r.wantCreated(person(i), user)
				}
				r.wantCounts(batch.MaxInFlight+tt.people, batch.MaxInFlight+tt.people)
				r.wantNoOrphans()
			})
		}
	})

	// All users of a transaction are created, or none.
	t.Run("a transaction is all or nothing", func(t *testing.T) {
		for _, cut := range []string{"INSERT INTO users", "INSERT INTO wechat_identities", "COMMIT"} {
			t.Run(strings.ReplaceAll(cut, " ", "_"), func(t *testing.T) {
				r := newCreatorFixture(t)
				for i := range 6 {
					r.firstLogin(person(i), func(_ store.User, created bool, err error) {
						if created || !errors.Is(err, store.ErrUnavailable) {
							t.Errorf("person %d: created %v, error %v; want ErrUnavailable", i, created, err)
						}
					})
				}
				r.waitForQueued(6)
				var begins atomic.Int64
				r.wire.sabotage(func(sql string) error {
					if strings.HasPrefix(sql, "BEGIN") {
						begins.Add(1)
					}
					if strings.HasPrefix(sql, cut) && begins.Load() > 0 {
						return errCut
					}
					return nil
				}, nil)
				r.release()
				r.wire.reset()
				r.wantNoOrphans()
				for i := range 6 {
					id := person(i)
					user, created := r.login(id.AppID, id.OpenID, id.UnionID)
					if !created {
						t.Errorf("person %d is there already", i)
					}
					r.wantCreated(id, user)
				}
			})
		}
	})
}

func TestUserCreator_Conflict(t *testing.T) {
	// Another server has created one of several users: the others are created, and that one is found.
	t.Run("one user was created in between", func(t *testing.T) {
		r := newCreatorFixture(t)
		r.exec("INSERT INTO users (id, created_at, updated_at, last_login_at) VALUES (4711, NOW(), NOW(), NOW())")
		for i := range 6 {
			r.firstLogin(person(i), func(user store.User, created bool, err error) {
				if err != nil || created != (i != 3) || (user.ID == 4711) != (i == 3) {
					t.Errorf("person %d: user %d, created %v, error %v", i, user.ID, created, err)
				}
			})
		}
		r.waitForQueued(6)
		r.exec("UPDATE users SET unionid = ? WHERE id = 4711", person(3).UnionID)
		r.exec("INSERT INTO wechat_identities (appid, openid, user_id, created_at) VALUES (?, ?, 4711, NOW())", person(3).AppID, person(3).OpenID)
		r.release()
		r.wantCounts(batch.MaxInFlight+6, batch.MaxInFlight+6)
		r.wantNoOrphans()
	})

	// Concurrent logins of one person, by several mini-programs too, do not share a transaction.
	t.Run("logins of one person", func(t *testing.T) {
		r := newCreatorFixture(t)
		var created atomic.Int64
		for _, app := range []string{appA, appB, appA} {
			r.firstLogin(store.Identity{AppID: app, OpenID: "oAlice", UnionID: "uAlice"}, func(_ store.User, isNew bool, err error) {
				if err != nil {
					t.Error(err)
				}
				if isNew {
					created.Add(1)
				}
			})
		}
		r.waitForQueued(3)
		r.release()
		if created.Load() != 1 {
			t.Errorf("created %d times", created.Load())
		}
		r.wantCounts(batch.MaxInFlight+1, batch.MaxInFlight+2)
		r.wantNoOrphans()
	})

	// Many persons log in for the first time, each on two servers at the same moment.
	t.Run("first logins on two servers", func(t *testing.T) {
		const people = 100
		f := newFixture(t)
		second, err := store.Open(f.dsn, store.Options{Now: f.clock.now, MaxOpenConns: 64})
		if err != nil {
			t.Fatal(err)
		}
		defer second.Close()
		servers := []*store.Users{f.users, second.Users()}
		users := make([]store.User, 2*people)
		var creations [people]atomic.Int64
		concurrently(2*people, func(i int) {
			user, created, err := servers[i%2].Login(t.Context(), person(i/2))
			if err != nil {
				t.Error(err)
			}
			if created {
				creations[i/2].Add(1)
			}
			users[i] = user
		})
		for i, user := range users {
			f.wantCreated(person(i/2), user)
			if n := creations[i/2].Load(); n != 1 {
				t.Errorf("person %d was made %d times", i/2, n)
			}
		}
		f.wantCounts(people, people)
		f.wantNoOrphans()
	})
}
