package session_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

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
	redis       *testenv.Redis
	storeClient redis.UniversalClient // the Store's, which may not do all that redis.Client may
	clock       *testenv.Clock
	logs        *testenv.Log
}

func newFixture(t testing.TB, change ...func(*session.Options)) *fixture {
	t.Helper()
	f := &fixture{redis: testenv.NewRedis(t), clock: testenv.NewClock()}
	f.storeClient = f.redis.NewClient(t)
	return f.restart(t, change...)
}

// restart is another Store on the same Redis and clock, with a log of its own.
func (f *fixture) restart(t testing.TB, change ...func(*session.Options)) *fixture {
	t.Helper()
	restarted := &fixture{redis: f.redis, storeClient: f.storeClient, clock: f.clock, logs: &testenv.Log{}}
	o := session.Options{
		Redis: f.storeClient, Apps: []session.App{{AppID: appID, Secret: secret}}, Now: f.clock.Now, AutoPipeline: true,
		Logger: slog.New(slog.NewJSONHandler(restarted.logs, nil)),
	}
	for _, c := range change {
		c(&o)
	}
	var err error
	if restarted.Store, err = session.New(o); err != nil {
		t.Fatal(err)
	}
	return restarted
}

// client is another client of the fixture's Redis, with a hook of its own.
func (f *fixture) client(t testing.TB, hook redis.Hook) redis.UniversalClient {
	t.Helper()
	client := f.redis.NewClient(t)
	client.AddHook(hook)
	return client
}

// apps replaces the one app that a fixture serves.
func apps(apps ...session.App) func(*session.Options) {
	return func(o *session.Options) { o.Apps = apps }
}

// pass lets time pass, for the Store and for Redis.
func (f *fixture) advance(t testing.TB, d time.Duration) {
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
	f.advance(t, time.Second)
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

// recordKey is where a token's record stands.
func recordKey(token string) string {
	hash := sha256.Sum256([]byte(token))
	return session.DefaultKeyPrefix + "session:" + base64.RawURLEncoding.EncodeToString(hash[:])
}

// indexKey is where a user's index stands.
func indexKey(openID string) string {
	return session.DefaultKeyPrefix + "sessions:" + appID + ":" + openID
}

// member is how an index names a token.
func member(token string) string {
	return strings.TrimPrefix(recordKey(token), session.DefaultKeyPrefix+"session:")
}

// members are the tokens' names in a user's index.
func (f *fixture) members(t testing.TB, openID string) []string {
	t.Helper()
	members, err := f.redis.Client.ZRange(t.Context(), indexKey(openID), 0, -1).Result()
	if err != nil {
		t.Fatal(err)
	}
	return members
}

// kinds returns the kinds of foreign things that the Store has logged, sorted, and fails for a line that says more.
func (f *fixture) loggedKinds(t testing.TB) []string {
	t.Helper()
	kinds := []string{}
	for line := range strings.Lines(f.logs.String()) {
		var said map[string]string
		if err := json.Unmarshal([]byte(line), &said); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if len(said) != 5 || said["level"] != "WARN" || said["op"] == "" {
			t.Errorf("logged at another level, or with more than a kind and an op: %s", line)
		}
		kinds = append(kinds, said["kind"])
	}
	slices.Sort(kinds)
	return kinds
}

// mustLog fails unless these kinds and no others were logged, each once.
func (f *fixture) mustLog(t testing.TB, want ...string) {
	t.Helper()
	slices.Sort(want)
	if got := f.loggedKinds(t); !slices.Equal(got, want) {
		t.Errorf("logged %q, want %q", got, want)
	}
}
