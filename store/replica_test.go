package store_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strings"
	"testing"
	"time"

	"wxlogin/internal/testenv/mysqltest"
	"wxlogin/store"
)

// replicated is a fixture whose store has replicas: separate databases, which the test fills like a replication.
type replicated struct {
	*fixture
	db      *store.DB
	replica []*wire // what is sent to each
}

func withReplicas(t *testing.T, dsns ...string) *replicated {
	t.Helper()
	return replicatedBy(newFixture(t), dsns...)
}

// replicatedBy opens the store of a fixture again, with replicas.
func replicatedBy(f *fixture, dsns ...string) *replicated {
	t := f.t
	t.Helper()
	r := &replicated{fixture: f}
	wires := []*wire{{}}
	for range dsns {
		r.replica = append(r.replica, &wire{})
	}
	wires = append(wires, r.replica...)
	opened := 0
	var err error
	r.db, err = store.Open(r.dsn, store.Options{
		Now: r.clock.now, Replicas: dsns,
		OpenDB: func(c driver.Connector) *sql.DB { // the primary comes first
			pool := wires[opened].openDB(c)
			opened++
			return pool
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.db.Close() })
	r.wire, r.users = wires[0], r.db.Users()
	return r
}

// newReplica is a migrated database without users.
func newReplica(t *testing.T) (dsn string, rows *sql.DB) {
	t.Helper()
	dsn = mysqltest.NewWithSchema(t)
	return dsn, openRaw(t, dsn)
}

// replicate copies the only user to a replica, under another nickname, which shows where a result came from.
func (r *replicated) replicate(rows *sql.DB, id uint64, openID string) {
	r.t.Helper()
	now := r.clock.now().UTC().Format("2006-01-02 15:04:05.000")
	for _, statement := range []string{
		"INSERT INTO users (id, nickname, created_at, updated_at, last_login_at, last_seen_at) VALUES (?, 'of the replica', NOW(), NOW(), '" +
			now + "', '" + now + "')",
		"INSERT INTO wechat_identities (user_id, appid, openid, created_at) VALUES (?, '" + appA + "', '" + openID + "', NOW())",
	} {
		if _, err := rows.Exec(statement, id); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *replicated) find(openID string) store.User {
	r.t.Helper()
	user, err := r.users.FindOnReplica(r.t.Context(), appA, openID)
	if err != nil {
		r.t.Fatalf("FindOnReplica: %v", err)
	}
	return user
}

func TestUsers_FindOnReplica(t *testing.T) {
	t.Run("reads from the replica only", func(t *testing.T) {
		dsn, rows := newReplica(t)
		r := withReplicas(t, dsn)
		user, _ := r.login(appA, "o1", "")
		r.replicate(rows, user.ID, "o1")
		r.wire.reset()
		if found := r.find("o1"); found.ID != user.ID || found.NickName != "of the replica" {
			t.Errorf("found %d %q", found.ID, found.NickName)
		}
		r.wire.wantVerbs(t)
	})

	t.Run("the request is recorded at the primary", func(t *testing.T) {
		dsn, rows := newReplica(t)
		r := withReplicas(t, dsn)
		user, _ := r.login(appA, "o1", "")
		r.replicate(rows, user.ID, "o1")
		r.clock.advance(time.Hour)
		r.wire.reset()
		r.find("o1")
		r.wire.wantVerbs(t, "UPDATE")
		if row := r.user(user.ID); row["last_seen_at"] == row["last_login_at"] {
			t.Errorf("row %v", row)
		}
	})

	// A read that must see its own write goes to the primary.
	t.Run("no other call reads from a replica", func(t *testing.T) {
		dsn, rows := newReplica(t)
		r := withReplicas(t, dsn)
		user, _ := r.login(appA, "o1", "")
		r.replicate(rows, user.ID, "o1")
		r.replica[0].reset()
		r.login(appA, "o1", "u1")
		r.update(appA, "o1", store.Profile{NickName: "Alice", AvatarURL: "https://example.com/a.png"})
		if _, err := r.users.BindPhone(t.Context(), appA, "o1", store.Phone{CountryCode: "86", Number: "13800138000"}); err != nil {
			t.Fatal(err)
		}
		if found, err := r.users.Find(t.Context(), appA, "o1"); err != nil || found.NickName != "Alice" {
			t.Errorf("found %q, %v", found.NickName, err)
		}
		r.login(appB, "o2", "u1") // links
		if err := r.db.Ready(t.Context()); err != nil {
			t.Error(err)
		}
		r.replica[0].wantVerbs(t)
	})

	// A user that has just logged in for the first time is not on the replica yet.
	t.Run("a user that the replica does not have yet", func(t *testing.T) {
		dsn, _ := newReplica(t)
		r := withReplicas(t, dsn)
		user, _ := r.login(appA, "o1", "")
		if found := r.find("o1"); found.ID != user.ID {
			t.Errorf("found %d, want %d", found.ID, user.ID)
		}
		r.replica[0].wantVerbs(t, "SELECT")
		if _, err := r.users.FindOnReplica(t.Context(), appA, "oUnknown"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("unknown user: %v", err)
		}
	})

	t.Run("without replicas", func(t *testing.T) {
		r := withReplicas(t)
		user, _ := r.login(appA, "o1", "")
		if found := r.find("o1"); found.ID != user.ID {
			t.Errorf("found %d, want %d", found.ID, user.ID)
		}
		if _, err := r.users.FindOnReplica(t.Context(), "", "o1"); !errors.Is(err, store.ErrIdentity) {
			t.Errorf("without appid: %v", err)
		}
	})

	// A failing replica slows down one request per second, and fails none.
	t.Run("a failing replica is not used for a while", func(t *testing.T) {
		dsn, rows := newReplica(t)
		r := withReplicas(t, dsn)
		user, _ := r.login(appA, "o1", "")
		r.replicate(rows, user.ID, "o1")
		r.find("o1")
		reads := 0
		r.replica[0].sabotage(func(sql string) error {
			if strings.HasPrefix(sql, "SELECT") {
				reads++
			}
			return errCut
		}, nil)
		for range 5 {
			if found := r.find("o1"); found.NickName != "" {
				t.Errorf("found %q, want what the primary has", found.NickName)
			}
		}
		failed := reads
		if failed == 0 || failed > 3 { // database/sql retries after a broken connection
			t.Errorf("%d reads from the replica", failed)
		}
		r.replica[0].reset()
		r.clock.advance(2 * time.Second)
		if found := r.find("o1"); found.NickName != "of the replica" {
			t.Errorf("after a while, found %q, want what the replica has", found.NickName)
		}
	})

	// A cancelled request says nothing about a replica.
	t.Run("a cancelled caller is not a failure of the replica", func(t *testing.T) {
		dsn, rows := newReplica(t)
		r := withReplicas(t, dsn)
		user, _ := r.login(appA, "o1", "")
		r.replicate(rows, user.ID, "o1")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := r.users.FindOnReplica(ctx, appA, "o1"); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if found := r.find("o1"); found.NickName != "of the replica" {
			t.Error("the replica is not used because a caller was cancelled")
		}
	})
}

func TestOpen_InvalidReplica(t *testing.T) {
	const password = "hunter2"
	_, err := store.Open("root@tcp(127.0.0.1:1)/wxlogin", store.Options{Replicas: []string{"root:" + password + "@tcp(127.0.0.1:1"}})
	if err == nil || !strings.Contains(err.Error(), "replica 1") || strings.Contains(err.Error(), password) {
		t.Errorf("got %v", err)
	}
}

func TestDB_Pools(t *testing.T) {
	first, _ := newReplica(t)
	second, _ := newReplica(t)
	r := withReplicas(t, first, second)
	pools := r.db.Pools()
	for _, name := range []string{"primary", "replica_1", "replica_2"} {
		if pools[name] == nil {
			t.Errorf("no pool %s", name)
		}
	}
	if len(pools) != 3 || pools["primary"].Stats().MaxOpenConnections != 50 {
		t.Errorf("%d pools", len(pools))
	}
}

// realReplica is a fixture on a server with a real replica.
type realReplica struct {
	*replicated
	server *mysqltest.Server // the replica
}

func newRealReplica(t *testing.T) *realReplica {
	t.Helper()
	primary, replica := mysqltest.RunReplicated(t)
	f := fixtureOn(t, primary.NewDatabase(t, "app", "ALL"))
	return &realReplica{replicatedBy(f, replica.DSN("app", "app", "app")), replica}
}

// subtest runs a subtest after the replica's cooldown.
func (r *realReplica) subtest(t *testing.T, name string, test func(t *testing.T)) {
	t.Run(name, func(t *testing.T) {
		r.t = t
		r.clock.advance(2 * time.Second)
		r.reset()
		test(t)
	})
}

func (r *realReplica) reset() {
	r.wire.reset()
	r.replica[0].reset()
}

// wantFrom checks which of the two servers were used since the last reset.
func (r *realReplica) wantFrom(t *testing.T, primary, replica bool) {
	t.Helper()
	if fromPrimary, fromReplica := len(r.wire.verbs()) > 0, len(r.replica[0].verbs()) > 0; fromPrimary != primary || fromReplica != replica {
		t.Errorf("primary used: %v, want %v; replica used: %v, want %v", fromPrimary, primary, fromReplica, replica)
	}
	r.reset()
}

// findBounded is find for a caller with less time than a hanging replica would take.
func (r *realReplica) findBounded(t *testing.T, openID string) store.User {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	user, err := r.users.FindOnReplica(ctx, appA, openID)
	if err != nil {
		t.Fatalf("FindOnReplica: %v", err)
	}
	return user
}

// waitFor finds a user until the replica alone returns the expected state.
func (r *realReplica) waitFor(t *testing.T, openID string, as func(store.User) bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		r.clock.advance(2 * time.Second)
		r.reset()
		user, err := r.users.FindOnReplica(t.Context(), appA, openID)
		if err == nil && len(r.wire.verbs()) == 0 && as(user) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the replica does not return the expected state: %+v, %v", user.Status, err)
		}
	}
}

func named(name string) func(store.User) bool {
	return func(u store.User) bool { return u.NickName == name }
}

func TestUsers_FindOnReplicaServer(t *testing.T) {
	r := newRealReplica(t)
	alice, _ := r.login(appA, "oAlice", "")
	r.waitFor(t, "oAlice", named(""))

	r.subtest(t, "read-only, which is not an error", func(t *testing.T) {
		if err := r.db.CheckReplicas(t.Context())[0]; err != nil {
			t.Error(err)
		}
		wantUnready(t, open(t, r.server.DSN("app", "app", "app")), store.ErrReadOnly, "read_only is ON")
	})
	r.subtest(t, "behind", func(t *testing.T) {
		r.server.Exec(t, "STOP REPLICA SQL_THREAD")
		r.update(appA, "oAlice", store.Profile{NickName: "Alice"})
		r.login(appA, "oNew", "")
		r.exec("UPDATE users SET status = 2 WHERE id = ?", alice.ID)
		r.wantFrom(t, true, false)
		r.waitFor(t, "oAlice", func(u store.User) bool { return u.NickName == "" && u.Active() }) // the state before the replication stopped
		r.reset()
		if fresh := r.find("oNew"); fresh.ID == 0 {
			t.Error("the new user has no id")
		}
		r.replica[0].wantVerbs(t, "SELECT")
		r.wantFrom(t, true, true)
		r.server.Exec(t, "START REPLICA SQL_THREAD")
		r.waitFor(t, "oAlice", func(u store.User) bool { return u.NickName == "Alice" && !u.Active() })
	})
	r.subtest(t, "hung", func(t *testing.T) {
		r.server.Hang(t)
		defer r.server.GoOn(t)
		if found := r.findBounded(t, "oAlice"); found.ID != alice.ID {
			t.Errorf("found %d, want %d", found.ID, alice.ID)
		}
		r.reset()
		for range 100 { // during the cooldown
			r.findBounded(t, "oAlice")
		}
		r.wantFrom(t, true, false)
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		if err := r.db.CheckReplicas(ctx)[0]; !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("CheckReplicas: %v", err)
		}
	})
	r.subtest(t, "and it goes on", func(t *testing.T) { r.waitFor(t, "oAlice", named("Alice")) })

	r.subtest(t, "killed", func(t *testing.T) {
		r.server.Crash()
		r.exec("UPDATE users SET nickname = 'Al' WHERE id = ?", alice.ID)
		if found := r.findBounded(t, "oAlice"); found.NickName != "Al" {
			t.Errorf("found %q, want what the primary has", found.NickName)
		}
		r.wantFrom(t, true, false)
		r.server.Recover(t)
		r.waitFor(t, "oAlice", named("Al"))
	})
}
