package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"wxlogin/internal/testenv/mysqltest"
	"wxlogin/store"
)

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
