package session_test

import (
	"context"
	"testing"
	"time"

	"wxlogin/internal/testenv"
	"wxlogin/session"
)

const (
	appID      = "wx0123456789abcdef"
	secret     = "0123456789abcdef0123456789abcdef"
	openID     = "oGZUI0egBJY1zhBYw2KhdUfwVJJE"
	sessionKey = "tiihtNczf5v6AKRyjwEUhQ=="
)

// fixture is a Store on a Redis of its own, both with a clock that the test moves.
type fixture struct {
	*session.Store
	redis *testenv.Redis
	clock *testenv.Clock
}

func newFixture(t testing.TB, change ...func(*session.Options)) *fixture {
	t.Helper()
	f := &fixture{redis: testenv.NewRedis(t), clock: testenv.NewClock()}
	o := session.Options{Redis: f.redis.Client, Apps: []session.App{{AppID: appID, Secret: secret}}, Now: f.clock.Now}
	for _, c := range change {
		c(&o)
	}
	var err error
	if f.Store, err = session.New(o); err != nil {
		t.Fatal(err)
	}
	return f
}

// pass lets time pass, for the Store and for Redis.
func (f *fixture) pass(t testing.TB, d time.Duration) {
	t.Helper()
	f.clock.Advance(d)
	f.redis.FastForward(t, d)
}

// login begins a session a second after the one before.
func (f *fixture) login(t testing.TB, openID, sessionKey string) string {
	t.Helper()
	token, err := f.Create(context.Background(), session.Session{AppID: appID, OpenID: openID, SessionKey: sessionKey})
	if err != nil {
		t.Fatal(err)
	}
	f.pass(t, time.Second)
	return token
}

// mustFind fails unless the token stands for a session.
func (f *fixture) mustFind(t testing.TB, token string) session.Session {
	t.Helper()
	sess, err := f.Lookup(context.Background(), token)
	if err != nil {
		t.Fatalf("Lookup: %v", err)
	}
	return sess
}

// mustMiss fails unless the token stands for nothing.
func (f *fixture) mustMiss(t testing.TB, token string) {
	t.Helper()
	if sess, err := f.Lookup(context.Background(), token); err != session.ErrNotFound {
		t.Fatalf("Lookup: %v, %v; want ErrNotFound", sess, err)
	}
}
