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

// gate has statements hang, as many as are sent alone, so that later ones wait and go together.
type gate struct {
	hanging atomic.Int64
	closed  chan struct{}
	open    func()
	calls   sync.WaitGroup // end when the gate is open, and before the test does
}

// newGate has the next statements with a verb hang.
func newGate(t *testing.T, w *wire, verb string) *gate {
	t.Helper()
	g := &gate{closed: make(chan struct{})}
	g.open = sync.OnceFunc(func() { close(g.closed) })
	t.Cleanup(g.release)
	w.reset()
	w.sabotage(func(sql string) error {
		if strings.HasPrefix(sql, verb) && g.hanging.Add(1) <= batch.MaxInFlight {
			<-g.closed
		}
		return nil
	}, nil)
	return g
}

// waitFor waits until as many statements hang.
func (g *gate) waitFor(t testing.TB, n int) {
	t.Helper()
	waitFor(t, func() bool { return g.hanging.Load() == int64(n) })
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

// crowd is a fixture whose first reads hang.
type crowd struct {
	*fixture
	*gate
}

// newCrowd makes users oUser0 and so on in both apps, and has as many reads hang as are sent alone.
func newCrowd(t *testing.T, users int) *crowd {
	t.Helper()
	c := &crowd{fixture: newFixture(t)}
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

// find looks somebody up in a goroutine of its own, which ends at the end of the test at the latest.
func (c *crowd) find(ctx context.Context, app, openID string, then func(store.User, error)) {
	c.calls.Go(func() {
		user, err := c.users.Find(ctx, app, openID)
		if then != nil {
			then(user, err)
		}
	})
}

// wantFound asserts in a goroutine that somebody finds the right user.
func (c *crowd) wantFound(app, openID string) {
	want := c.one("SELECT user_id FROM wechat_identities WHERE appid = ? AND openid = ?", app, openID)["user_id"]
	c.find(c.t.Context(), app, openID, func(user store.User, err error) {
		if err != nil || fmt.Sprint(user.ID) != want {
			c.t.Errorf("%s in %s: user %d, error %v; want user %s", openID, app, user.ID, err, want)
		}
	})
}

func (c *crowd) waitForWaiting(n int) {
	c.t.Helper()
	waitFor(c.t, func() bool { return c.db.QueuedLoads() == n })
}

// together are the statements that look several users up.
func (c *crowd) together() (sent []statement) {
	for _, s := range c.wire.statements() {
		if strings.Contains(s.sql, " IN (?") {
			sent = append(sent, s)
		}
	}
	return sent
}

func TestLookups_that_wait_go_together(t *testing.T) {
	for name, tt := range map[string]struct{ users, statements int }{
		"one": {1, 1}, "four": {4, 1}, "five": {5, 1}, "sixteen": {16, 1}, "more": {33, 3},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCrowd(t, tt.users)
			for i := range tt.users {
				c.wantFound(appA, fmt.Sprintf("oUser%d", i))
			}
			c.waitForWaiting(tt.users)
			c.release()
			if got := len(c.together()); got != tt.statements {
				t.Errorf("%d statements, want %d", got, tt.statements)
			}
		})
	}
}

func TestLookups_of_one_user_by_many(t *testing.T) {
	c := newCrowd(t, 1)
	for range 10 {
		c.wantFound(appA, "oUser0")
	}
	c.find(t.Context(), appA, "oNobody", func(_ store.User, err error) {
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("nobody: %v", err)
		}
	})
	c.waitForWaiting(11)
	c.release()
	if got := len(c.together()); got != 1 {
		t.Errorf("%d statements, want 1", got)
	}
}

func TestLookups_keep_apps_apart(t *testing.T) {
	c := newCrowd(t, 3)
	for i := range 3 {
		c.wantFound(appA, fmt.Sprintf("oUser%d", i))
		c.wantFound(appB, fmt.Sprintf("oUser%d", i))
	}
	c.waitForWaiting(6)
	c.release()
	if got := len(c.together()); got != 2 {
		t.Errorf("%d statements, want one for each app", got)
	}
}

// Who gives up is told so at once, and takes nobody along: neither before the others are read nor while they are.
func TestLookups_one_gives_up(t *testing.T) {
	c := newCrowd(t, 2)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	c.find(ctx, appA, "oUser0", func(_ store.User, err error) { gone <- err })
	c.waitForWaiting(1)
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("gave up before: %v", err)
	}

	ctx, cancel = context.WithCancel(t.Context())
	c.wire.sabotage(func(string) error { // while the statement is under way
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("gave up meanwhile: %v", err)
		}
		return nil
	}, nil)
	c.find(ctx, appA, "oUser0", func(_ store.User, err error) { gone <- err })
	c.waitForWaiting(2) // the first is still in the queue
	c.wantFound(appA, "oUser1")
	c.waitForWaiting(3)
	c.release()
	sent := c.together()
	if len(sent) != 1 || sent[0].args[1].Value != "oUser0" || sent[0].args[2].Value != "oUser1" {
		t.Errorf("sent %v", sent)
	}
}

func TestLookups_a_fault_is_that_of_one_statement(t *testing.T) {
	c := newCrowd(t, 2)
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
	c.waitForWaiting(2)
	c.release()
	c.wantFound(appA, "oUser1")
	c.calls.Wait()
}

// Where the statements under way hang, nobody waits for them but who waits already.
func TestLookups_do_not_wait_for_what_hangs(t *testing.T) {
	c := newCrowd(t, 2)
	found := make(chan error)
	c.find(t.Context(), appA, "oUser0", func(_ store.User, err error) { found <- err })
	c.waitForWaiting(1)
	c.clock.advance(time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := c.users.Find(ctx, appA, "oUser1"); err != nil {
		t.Error(err)
	}
	if err := <-found; err != nil {
		t.Errorf("who waited already: %v", err)
	}
	if got := c.hanging.Load(); got != batch.MaxInFlight+2 {
		t.Errorf("%d statements", got)
	}
}
