package store_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"

	"wxlogin/store"
)

// follower does what another service does with user_changes: it keeps what became of users, by number.
type follower struct {
	f    *fixture
	seq  uint64
	fate map[string]string // users.id to "merged into …", "erased" or "disabled"
}

// read reads up to limit further changes, and reports whether there were any.
func (c *follower) read(limit int) bool {
	rows := c.f.rows("SELECT * FROM user_changes WHERE seq > ? ORDER BY seq LIMIT "+strconv.Itoa(limit), c.seq)
	for _, row := range rows {
		seq, err := strconv.ParseUint(row["seq"], 10, 64)
		if err != nil || seq != c.seq+1 {
			c.f.t.Errorf("number %s follows %d", row["seq"], c.seq)
		}
		c.seq = seq
		switch row["kind"] {
		case "merged":
			c.fate[row["user_id"]] = "merged into " + row["survivor_id"]
		case "erased":
			c.fate[row["user_id"]] = "erased"
		case "disabled":
			c.fate[row["user_id"]] = "disabled"
		case "enabled":
			delete(c.fate, row["user_id"])
		}
	}
	return len(rows) > 0
}

// wantFates compares with the users in MySQL.
func (c *follower) wantFates() {
	c.f.t.Helper()
	want := map[string]string{}
	for _, row := range c.f.rows("SELECT id, status, merged_into FROM users WHERE status <> 1") {
		want[row["id"]] = map[string]string{"2": "disabled", "3": "merged into " + row["merged_into"], "4": "erased"}[row["status"]]
	}
	if !maps.Equal(c.fate, want) {
		c.f.t.Errorf("followed %v, MySQL says %v", c.fate, want)
	}
}

// wantChangesMatch checks that user_changes, read from the beginning, says what MySQL says.
func (f *fixture) wantChangesMatch() {
	f.t.Helper()
	c := &follower{f: f, fate: map[string]string{}}
	for c.read(100) {
	}
	c.wantFates()
}

// A reader that asks for what comes after the last number that it has seen, and begins again from there after a crash,
// misses nothing, whatever is written at the same time.
func TestUserChanges_Follow(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			for i := range 6 {
				openID, unionID := fmt.Sprintf("o%d_%d", w, i), fmt.Sprintf("u%d_%d", w, i)
				user, _ := f.login(appA, openID, "")
				f.login(appB, openID, unionID)
				switch i % 3 {
				case 1:
					f.login(appA, openID, unionID) // a merge
				case 2:
					if _, _, err := f.users.SetStatus(ctx, user.ID, store.StatusDisabled, byAdmin); err != nil {
						t.Error(err)
					}
				}
				if i >= 3 {
					if _, err := f.users.Erase(ctx, user.ID, byAdmin); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	ended := make(chan struct{})
	go func() { writers.Wait(); close(ended) }()
	saved := follower{f: f, fate: map[string]string{}}
	for running := true; running; {
		select {
		case <-ended:
			running = false
		default:
		}
		c := follower{f: f, seq: saved.seq, fate: maps.Clone(saved.fate)}
		for more := true; more; {
			more = c.read(1 + rand.N(5))
			if more && rand.N(3) > 0 { // else it dies before it has saved what it read
				saved = follower{f: f, seq: c.seq, fate: maps.Clone(c.fate)}
			}
		}
	}
	for saved.read(100) {
	}
	saved.wantFates()
	if want := f.row("SELECT seq FROM user_change_counter")["seq"]; fmt.Sprint(saved.seq) != want {
		t.Errorf("read up to %d, the counter is at %s", saved.seq, want)
	}
}

func TestUsers_SetStatus(t *testing.T) {
	f := newFixture(t)
	alice, _ := f.login(appA, "oAlice", "")
	set := func(status store.Status, reason string, want store.Status, changed bool) {
		t.Helper()
		user, got, err := f.users.SetStatus(t.Context(), alice.ID, status, store.Cause{Reason: reason, Actor: "li"})
		if err != nil || user.Status != want || got != changed {
			t.Errorf("status %d: %+v, changed %v, %v", status, user, got, err)
		}
	}
	set(store.StatusDisabled, "spam 😀", store.StatusDisabled, true)
	set(store.StatusDisabled, "again", store.StatusDisabled, false)
	set(store.StatusActive, "a mistake", store.StatusActive, true)
	var got []string
	for _, row := range f.rows("SELECT * FROM user_changes ORDER BY seq") {
		got = append(got, row["seq"]+" "+row["kind"]+" "+row["user_id"]+" "+row["reason"]+" "+row["actor"])
	}
	if want := fmt.Sprintf("[1 disabled %d spam 😀 li 2 enabled %d a mistake li]", alice.ID, alice.ID); fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
	if _, err := f.users.Erase(t.Context(), alice.ID, byAdmin); err != nil {
		t.Fatal(err)
	}
	set(store.StatusActive, "never", store.StatusErased, false)
	if _, _, err := f.users.SetStatus(t.Context(), 999, store.StatusActive, byAdmin); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown id: %v", err)
	}
	f.wantChangesMatch()
}
