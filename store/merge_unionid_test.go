package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"wxlogin/store"
)

func TestUsers_LoginSecondApp(t *testing.T) {
	f := newFixture(t)
	first, _ := f.login(appA, "oAliceInA", "uAlice")
	f.update(appA, "oAliceInA", store.Profile{NickName: "Alice"})
	f.clock.advance(2 * time.Hour)
	second, created := f.login(appB, "oAliceInB", "uAlice")
	if created || second.ID != first.ID || second.NickName != "Alice" {
		t.Errorf("created %v, user %d %q; want user %d", created, second.ID, second.NickName, first.ID)
	}
	if !second.LastLoginAt.Equal(f.clock.now().Truncate(time.Millisecond)) {
		t.Errorf("the login is not recorded: %v", second.LastLoginAt)
	}
	f.wantCounts(1, 2)

	f.exec("UPDATE users SET status = 2 WHERE id = ?", first.ID)
	if third, created := f.login(appC, "oAliceInC", "uAlice"); created || third.Active() {
		t.Errorf("a blocked person comes in by another app: created %v, status %d", created, third.Status)
	}
}

func TestUsers_LoginUnionIDLater(t *testing.T) {
	t.Run("no user has it", func(t *testing.T) {
		f := newFixture(t)
		user, _ := f.login(appA, "oAlice", "")
		before := f.user(user.ID)
		f.clock.advance(time.Minute)
		f.wire.reset()
		user, created := f.login(appA, "oAlice", "uAlice")
		f.wire.wantVerbs(t, "SELECT", "SELECT", "UPDATE")
		if created || user.UnionID != "uAlice" {
			t.Errorf("created %v, unionid %q", created, user.UnionID)
		}
		got := changed(before, f.user(user.ID))
		slices.Sort(got)
		if !slices.Equal(got, []string{"unionid", "updated_at"}) {
			t.Errorf("changed %v", got)
		}
		if again, _ := f.login(appA, "oAlice", ""); again != user {
			t.Errorf("a login without unionid changes it:\n got %+v\nwant %+v", again, user)
		}
	})

	t.Run("a disabled user gets it and stays disabled", func(t *testing.T) {
		f := newFixture(t)
		user, _ := f.login(appA, "oAlice", "")
		f.exec("UPDATE users SET status = 2 WHERE id = ?", user.ID)
		if user, _ = f.login(appA, "oAlice", "uAlice"); user.Active() || user.UnionID != "uAlice" {
			t.Errorf("user %+v", user)
		}
		if other, created := f.login(appB, "oAliceInB", "uAlice"); created || other.Active() {
			t.Error("the block does not hold in the second app")
		}
	})

	t.Run("another one is on record", func(t *testing.T) {
		f := newFixture(t)
		user, _ := f.login(appA, "oAlice", "uOld")
		other, _ := f.login(appB, "oBob", "uNew")
		f.wire.reset()
		got, _ := f.login(appA, "oAlice", "uNew")
		f.wire.wantVerbs(t, "SELECT")
		if got != user || got.ID == other.ID {
			t.Errorf("user %+v, want %+v", got, user)
		}
		if logs := f.logs.String(); !strings.Contains(logs, "unionid") || strings.Contains(logs, "uNew") || strings.Contains(logs, "oAlice") {
			t.Errorf("log %q: wants a warning without values", logs)
		}
	})

	t.Run("another one is on record again and again", func(t *testing.T) {
		f := newFixture(t)
		for i := range 50 {
			f.login(appA, fmt.Sprint("o", i), fmt.Sprint("uOld", i))
			f.login(appA, fmt.Sprint("o", i), fmt.Sprint("uNew", i))
		}
		f.login(appB, "oBob", "uBob")
		f.login(appB, "oBob", "uNewBob")
		if a, b, c := f.db.UnionIDConflicts(appA), f.db.UnionIDConflicts(appB), f.db.UnionIDConflicts(appC); a != 50 || b != 1 || c != 0 {
			t.Errorf("%d, %d and %d conflicts", a, b, c)
		}
		if n := strings.Count(f.logs.String(), "another unionid"); n != 2 {
			t.Errorf("%d warnings, want one for each app:\n%s", n, f.logs)
		}
		f.clock.advance(time.Hour)
		f.login(appA, "o1", "uNew1")
		if n := strings.Count(f.logs.String(), "another unionid"); n != 3 {
			t.Errorf("%d warnings after an hour", n)
		}
	})

	t.Run("many at once", func(t *testing.T) {
		f := newFixture(t)
		user, _ := f.login(appA, "oAlice", "")
		concurrently(32, func(int) {
			got, _, err := f.users.Login(t.Context(), store.Identity{AppID: appA, OpenID: "oAlice", UnionID: "uAlice"})
			if err != nil || got.ID != user.ID || got.UnionID != "uAlice" {
				t.Errorf("user %d %q, error %v", got.ID, got.UnionID, err)
			}
		})
		f.wantCounts(1, 1)
	})
}

// inactiveStatuses are values of users.status that must not count as active: known ones, and some that this version
// does not know.
var inactiveStatuses = []int{0, 2, 3, 4, 5, 7, 255}

func TestUser_Active(t *testing.T) {
	for _, status := range inactiveStatuses {
		t.Run(fmt.Sprint("status ", status), func(t *testing.T) {
			f := newFixture(t)
			made, _ := f.login(appA, "oAlice", "")
			f.update(appA, "oAlice", typed("Alice"))
			f.exec("UPDATE users SET status = ?", status)
			f.clock.advance(48 * time.Hour)
			before := f.user(made.ID)
			login, created := f.login(appA, "oAlice", "")
			update := f.update(appA, "oAlice", typed("Mallory"))
			bind := f.bind(appA, "oAlice", firstPhone)
			find, err := f.users.Find(t.Context(), appA, "oAlice")
			for name, user := range map[string]store.User{"Login": login, "UpdateProfile": update, "BindPhone": bind, "Find": find} {
				if user.Active() || user.ID != made.ID || err != nil {
					t.Errorf("%s: user %d is active: %v, %v", name, user.ID, user.Active(), err)
				}
			}
			if created || f.db.PendingLoginDays() != 1 {
				t.Errorf("created %v, %d logins are counted, want 1", created, f.db.PendingLoginDays())
			}
			f.wantWritten(t, made.ID, before, nil)
		})
	}
}

// Whichever of the two is older, the survivor is not active if one of them was not.
func TestUsers_LoginMergeStatus(t *testing.T) {
	for name, holderIsFirst := range orders {
		for _, status := range inactiveStatuses {
			for _, who := range []string{"holder", "late"} {
				t.Run(fmt.Sprint(name, " ", who, " has status ", status), func(t *testing.T) {
					f := newFixture(t)
					lateID, holderID := twoUsers(f, holderIsFirst, store.Profile{}, store.Profile{})
					id := map[string]uint64{"holder": holderID, "late": lateID}[who]
					f.exec("UPDATE users SET status = ? WHERE id = ?", status, id)
					f.login(appA, "oAliceInA", "uAlice")
					openID, app := "oAliceInA", appA
					if who == "holder" {
						openID, app = "oAliceInB", appB
					}
					if user, _ := f.login(app, openID, "uAlice"); user.Active() {
						t.Errorf("user %+v", user)
					}
				})
			}
		}
	}
}
