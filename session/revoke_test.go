package session_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"wxlogin/session"
)

func TestStore_Revoke(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t)
	phone, tablet := f.login(t, openID, key(1)), f.login(t, openID, key(2))
	for range 2 { // a second time is no error
		if err := f.Revoke(ctx, phone); err != nil {
			t.Fatal(err)
		}
	}
	f.mustMiss(t, phone)
	f.mustFind(t, tablet)
	if err := f.Revoke(ctx, "garbage"); err != nil {
		t.Error(err)
	}
	if err := f.Revoke(ctx, tablet); err != nil {
		t.Fatal(err)
	}
	if keys := f.redis.Dump(t); len(keys) != 0 {
		t.Errorf("%d keys are left", len(keys))
	}
	if err := newFixture(t, unreachable).Revoke(ctx, phone); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("%v, want ErrUnavailable", err)
	}
}

func TestStore_RevokeAll(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t)
	phone, tablet, other := f.login(t, openID, key(1)), f.login(t, openID, key(2)), f.login(t, "oOTHER", key(3))
	for range 2 {
		if err := f.RevokeAll(ctx, appID, openID); err != nil {
			t.Fatal(err)
		}
	}
	f.mustMiss(t, phone)
	f.mustMiss(t, tablet)
	f.mustFind(t, other)
	if keys := f.redis.Dump(t); len(keys) != 2 {
		t.Errorf("%d keys, want the other user's record and index", len(keys))
	}
	if err := newFixture(t, unreachable).RevokeAll(ctx, appID, openID); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("%v, want ErrUnavailable", err)
	}
}

// failingHook makes one command fail, as if Redis died before it.
type failingHook struct{ command string }

func (d failingHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (d failingHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() != d.command {
			return next(ctx, cmd)
		}
		cmd.SetErr(errors.New("connection refused"))
		return cmd.Err()
	}
}

func (d failingHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if !slices.ContainsFunc(cmds, func(c redis.Cmder) bool { return c.Name() == d.command }) {
			return next(ctx, cmds)
		}
		for _, cmd := range cmds {
			cmd.SetErr(errors.New("connection refused"))
		}
		return cmds[0].Err()
	}
}

// failingAt returns another Store on the fixture's Redis, for which a command fails.
func (f *fixture) failingAt(t *testing.T, command string, change ...func(*session.Options)) *fixture {
	t.Helper()
	client := f.client(t, failingHook{command})
	return f.restart(t, append(change, func(o *session.Options) { o.Redis = client })...)
}

// A member that is left in the index has no effect, and the next RevokeAll removes it.
func TestStore_RevokeInterrupted(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t)
	token, other := f.login(t, openID, key(1)), f.login(t, openID, key(2))
	if err := f.failingAt(t, "zrem").Revoke(ctx, token); !errors.Is(err, session.ErrUnavailable) {
		t.Fatalf("%v, want ErrUnavailable", err)
	}
	if !slices.Contains(f.members(t, openID), member(token)) {
		t.Fatal("the index was changed")
	}
	f.mustMiss(t, token)
	if err := f.Revoke(ctx, token); err != nil {
		t.Errorf("second call: %v", err)
	}
	if keys, err := f.OtherSessionKeys(ctx, f.mustFind(t, other)); err != nil || len(keys) != 0 {
		t.Errorf("%d keys, %v; want none of an ended session", len(keys), err)
	}
	if err := f.RevokeAll(ctx, appID, openID); err != nil {
		t.Fatal(err)
	}
	if keys := f.redis.Dump(t); len(keys) != 0 {
		t.Errorf("%d keys are left", len(keys))
	}
	f.mustLog(t)
}

// Wherever RevokeAll fails, every record is still in the index, and a second call does the rest.
func TestStore_RevokeAllInterrupted(t *testing.T) {
	ctx := context.Background()
	for _, command := range []string{"zrange", "del", "zrem"} {
		t.Run(command, func(t *testing.T) {
			f := newFixture(t)
			f.login(t, openID, key(1))
			f.login(t, openID, key(2))
			if err := f.failingAt(t, command).RevokeAll(ctx, appID, openID); !errors.Is(err, session.ErrUnavailable) {
				t.Fatalf("%v, want ErrUnavailable", err)
			}
			f.mustBeIndexed(t, f.redis.Dump(t))
			if err := f.RevokeAll(ctx, appID, openID); err != nil {
				t.Fatal(err)
			}
			if keys := f.redis.Dump(t); len(keys) != 0 {
				t.Errorf("%d keys are left", len(keys))
			}
		})
	}
}

// If a login fails while it ends the oldest session, RevokeAll still finds that session.
func TestStore_CreateInterrupted(t *testing.T) {
	ctx := context.Background()
	for _, command := range []string{"del", "zrem"} {
		t.Run(command, func(t *testing.T) {
			one := func(o *session.Options) { o.MaxPerUser = 1 }
			f := newFixture(t, one)
			f.login(t, openID, key(1))
			sess := session.Session{AppID: appID, OpenID: openID, SessionKey: key(2)}
			if _, err := f.failingAt(t, command, one).Create(ctx, sess); !errors.Is(err, session.ErrUnavailable) {
				t.Fatalf("%v, want ErrUnavailable", err)
			}
			f.mustBeIndexed(t, f.redis.Dump(t))
		})
	}
}

// mustBeIndexed fails if a record in the dump of Redis is not in an index.
func (f *fixture) mustBeIndexed(t testing.TB, dump map[string]string) {
	t.Helper()
	var indexes strings.Builder
	for key, value := range dump {
		if strings.HasPrefix(key, f.redis.Prefix+"sessions:") {
			indexes.WriteString(" " + value)
		}
	}
	for key := range dump {
		hash, record := strings.CutPrefix(key, f.redis.Prefix+"session:")
		if record && !strings.Contains(indexes.String(), " "+hash+"=") {
			t.Error("a record is not in an index")
		}
	}
}

// mustBeConsistent is mustBeIndexed, and also fails if an index lists a record that does not exist.
func (f *fixture) mustBeConsistent(t testing.TB, dump map[string]string) {
	t.Helper()
	f.mustBeIndexed(t, dump)
	for key, index := range dump {
		if !strings.HasPrefix(key, f.redis.Prefix+"sessions:") {
			continue
		}
		for _, entry := range strings.Fields(index) {
			hash, _, _ := strings.Cut(entry, "=")
			if _, there := dump[f.redis.Prefix+"session:"+hash]; !there {
				t.Error("an index lists a session that does not exist")
			}
		}
	}
}

// createAndRevoke creates and revokes sessions of one user concurrently.
func createAndRevoke(t *testing.T, store *session.Store) {
	t.Helper()
	ctx := context.Background()
	tokens := make(chan string, 200)
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for range cap(tokens) / 8 {
				token, err := store.Create(ctx, session.Session{AppID: appID, OpenID: openID, SessionKey: key(n)})
				if err != nil {
					t.Error(err)
				}
				tokens <- token
			}
		})
	}
	for range 2 {
		wg.Go(func() {
			for range 20 {
				if err := store.RevokeAll(ctx, appID, openID); err != nil {
					t.Error(err)
				}
				if err := store.Revoke(ctx, <-tokens); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// A session that begins while its user's sessions end either stays complete or ends completely.
func TestStore_RevokeAllConcurrent(t *testing.T) {
	f := newFixture(t)
	for range 5 {
		createAndRevoke(t, f.Store)
		f.mustBeConsistent(t, f.redis.Dump(t))
	}
	if err := f.RevokeAll(context.Background(), appID, openID); err != nil {
		t.Fatal(err)
	}
	if keys := f.redis.Dump(t); len(keys) != 0 {
		t.Errorf("%d keys are left after RevokeAll", len(keys))
	}
	f.mustLog(t)
}

func TestStore_RevokeConcurrent(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t)
	token, other := f.login(t, openID, key(1)), f.login(t, openID, key(2))
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			if err := f.Revoke(ctx, token); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	f.mustMiss(t, token)
	f.mustFind(t, other)
	f.mustBeConsistent(t, f.redis.Dump(t))
}
