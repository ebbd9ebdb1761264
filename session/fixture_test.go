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
	"wxlogin/internal/testenv/redistest"
	"wxlogin/session"
)

const (
	appID      = "wx0123456789abcdef"
	secret     = "0123456789abcdef0123456789abcdef"
	openID     = "oGZUI0egBJY1zhBYw2KhdUfwVJJE"
	sessionKey = "tiihtNczf5v6AKRyjwEUhQ=="
)

// fixture is a Store and its Redis. The test moves their clock.
type fixture struct {
	*session.Store
	redis       *redistest.Redis
	storeClient redis.UniversalClient // the Store's, whose user may have fewer permissions than that of redis.Client
	clock       *testenv.Clock
	logs        *testenv.Log
}

func newFixture(t testing.TB, change ...func(*session.Options)) *fixture {
	t.Helper()
	f := &fixture{redis: redistest.New(t), clock: testenv.NewClock()}
	f.storeClient = f.redis.NewClient(t)
	return f.restart(t, change...)
}

// restart returns another Store with the same Redis and clock and a new log.
func (f *fixture) restart(t testing.TB, change ...func(*session.Options)) *fixture {
	t.Helper()
	restarted := &fixture{redis: f.redis, storeClient: f.storeClient, clock: f.clock, logs: &testenv.Log{}}
	o := session.Options{
		Redis: f.storeClient, KeyPrefix: f.redis.Prefix, Apps: []session.App{{AppID: appID, Secret: secret}}, Now: f.clock.Now, AutoPipeline: true,
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

// client returns another client of the fixture's Redis, with a hook.
func (f *fixture) client(t testing.TB, hook redis.Hook) redis.UniversalClient {
	t.Helper()
	client := f.redis.NewClient(t)
	client.AddHook(hook)
	return client
}

// apps replaces the app of a fixture.
func apps(apps ...session.App) func(*session.Options) {
	return func(o *session.Options) { o.Apps = apps }
}

// advance moves the clocks of the Store and of Redis forward.
func (f *fixture) advance(t testing.TB, d time.Duration) {
	t.Helper()
	f.clock.Advance(d)
	f.redis.FastForward(t, d)
}

// login creates a session and then advances the clock by a second.
func (f *fixture) login(t testing.TB, openID, sessionKey string) string {
	t.Helper()
	token, err := f.Create(context.Background(), session.Session{AppID: appID, OpenID: openID, SessionKey: sessionKey})
	if err != nil {
		t.Fatal(err)
	}
	f.advance(t, time.Second)
	return token
}

// mustFind fails unless the token has a session.
func (f *fixture) mustFind(t testing.TB, token string) session.Session {
	t.Helper()
	sess, err := f.Lookup(context.Background(), token)
	if err != nil {
		t.Fatalf("Lookup: %v", err)
	}
	return sess
}

// mustMiss fails unless Lookup returns ErrNotFound.
func (f *fixture) mustMiss(t testing.TB, token string) {
	t.Helper()
	if sess, err := f.Lookup(context.Background(), token); err != session.ErrNotFound {
		t.Fatalf("Lookup: %v, %v; want ErrNotFound", sess, err)
	}
}

// recordKey returns the key of a token's record.
func (f *fixture) recordKey(token string) string {
	return f.redis.Prefix + "session:" + member(token)
}

// indexKey returns the key of a user's index.
func (f *fixture) indexKey(openID string) string {
	return f.redis.Prefix + "sessions:" + appID + ":" + openID
}

// member returns the index member of a token.
func member(token string) string {
	hash := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(hash[:])
}

// members returns the members of a user's index.
func (f *fixture) members(t testing.TB, openID string) []string {
	t.Helper()
	members, err := f.redis.Client.ZRange(t.Context(), f.indexKey(openID), 0, -1).Result()
	if err != nil {
		t.Fatal(err)
	}
	return members
}

// loggedKinds returns the kinds of invalid records that the Store has logged, sorted. It fails if a line has other
// fields.
func (f *fixture) loggedKinds(t testing.TB) []string {
	t.Helper()
	kinds := []string{}
	for line := range strings.Lines(f.logs.String()) {
		var fields map[string]string
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if len(fields) != 5 || fields["level"] != "WARN" || fields["op"] == "" {
			t.Errorf("logged at another level, or with more than a kind and an op: %s", line)
		}
		kinds = append(kinds, fields["kind"])
	}
	slices.Sort(kinds)
	return kinds
}

// mustLog fails unless exactly these kinds were logged, each once.
func (f *fixture) mustLog(t testing.TB, want ...string) {
	t.Helper()
	slices.Sort(want)
	if got := f.loggedKinds(t); !slices.Equal(got, want) {
		t.Errorf("logged %q, want %q", got, want)
	}
}
