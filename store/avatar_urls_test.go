package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"wxlogin/store"
)

// fillAvatars makes as many users; every third has no avatar, and among the others are all statuses.
func (f *fixture) fillAvatars(users int) (want []string) {
	f.t.Helper()
	var rows []string
	for id := 1; id <= users; id++ {
		address := ""
		if id%3 != 0 {
			address = fmt.Sprintf("/avatars/%06d.jpg", id)
			want = append(want, address)
		}
		rows = append(rows, fmt.Sprintf("(%d, %d, '%s', NOW(), NOW(), NOW())", 2*id, 1+id%4, address))
	}
	if len(rows) > 0 {
		f.exec("INSERT INTO users (id, status, avatar_url, created_at, updated_at, last_login_at) VALUES " + strings.Join(rows, ", "))
	}
	return want
}

func TestUsers_AvatarURLs(t *testing.T) {
	for users, statements := range map[int]int{0: 1, 5: 1, store.AvatarChunk: 2, store.AvatarChunk + 1: 2, 2*store.AvatarChunk + 7: 3} {
		t.Run(fmt.Sprint(users, " users"), func(t *testing.T) {
			f := newFixture(t)
			want := f.fillAvatars(users)
			f.wire.reset()
			var got []string
			err := f.users.AvatarURLs(t.Context(), func(address string) error {
				if inUse := f.db.Pools()["primary"].Stats().InUse; inUse != 0 {
					t.Errorf("%d connections in use while a value is handled", inUse)
				}
				got = append(got, address)
				return nil
			})
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%d addresses, %v; want %d", len(got), err, len(want))
			}
			if sent := f.wire.verbs(); len(sent) != statements {
				t.Errorf("sent %v, want %d statements", sent, statements)
			}
		})
	}
	t.Run("an error of yield ends it", func(t *testing.T) {
		f := newFixture(t)
		f.fillAvatars(5)
		stop, calls := errors.New("stop"), 0
		err := f.users.AvatarURLs(t.Context(), func(string) error { calls++; return stop })
		if err != stop || calls != 1 {
			t.Errorf("error %v after %d calls", err, calls)
		}
	})
	t.Run("a database that is away is unavailable", func(t *testing.T) {
		f := newFixture(t)
		f.fillAvatars(5)
		f.wire.sabotage(func(string) error { return errCut }, nil)
		err := f.users.AvatarURLs(t.Context(), func(string) error { t.Error("called"); return nil })
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("a cancelled context ends it", func(t *testing.T) {
		f := newFixture(t)
		f.fillAvatars(store.AvatarChunk + 1)
		ctx, cancel := context.WithCancel(t.Context())
		err := f.users.AvatarURLs(ctx, func(string) error { cancel(); return nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("it reads by primary key", func(t *testing.T) {
		if !realServer {
			t.Skip("the embedded engine has a planner of its own")
		}
		f := newFixture(t)
		f.fillAvatars(3 * store.AvatarChunk)
		f.wire.reset()
		if err := f.users.AvatarURLs(t.Context(), func(string) error { return nil }); err != nil {
			t.Fatal(err)
		}
		for _, s := range f.wire.statements() {
			if plan := f.explain(s); len(plan) != 1 || plan[0]["key"] != "PRIMARY" || plan[0]["type"] != "range" ||
				strings.Contains(plan[0]["Extra"], "filesort") {
				t.Errorf("%s: %v", s.sql, plan)
			}
		}
	})
}
