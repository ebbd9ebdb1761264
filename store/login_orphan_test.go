package store_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"wxlogin/store"
)

// newOrphan creates an identity whose user was deleted by hand, and returns the id of that user.
func (f *fixture) newOrphan(app, openID string) uint64 {
	f.t.Helper()
	user, _ := f.login(app, openID, "")
	f.exec("DELETE FROM users WHERE id = ?", user.ID)
	return user.ID
}

// warnings counts the log lines about identities without a user.
func (f *fixture) warnings(user, missing uint64) int {
	return strings.Count(f.logs.String(), fmt.Sprintf(`level=WARN msg="store: an identity had no user, assigned one" user=%d missing=%d`, user, missing))
}

func TestUsers_LoginOrphan(t *testing.T) {
	t.Run("it gets a new user", func(t *testing.T) {
		f := newFixture(t)
		missing := f.newOrphan(appA, "oAlice")
		f.wire.reset()
		user, created := f.login(appA, "oAlice", "uAlice")
		if !created || user.ID == missing || user.UnionID != "uAlice" || !user.Active() {
			t.Errorf("created %v, user %+v", created, user)
		}
		if again, created := f.login(appA, "oAlice", "uAlice"); created || again != user {
			t.Errorf("read back: created %v\n got %+v\nwant %+v", created, again, user)
		}
		f.wantCounts(1, 1)
		f.wantNoOrphans()
		if n := f.warnings(user.ID, missing); n != 1 || strings.Contains(f.logs.String(), "oAlice") {
			t.Errorf("%d warnings: %s", n, f.logs)
		}
	})
	t.Run("it joins the user with its unionid", func(t *testing.T) {
		f := newFixture(t)
		holder, _ := f.login(appB, "oAliceInB", "uAlice")
		missing := f.newOrphan(appA, "oAlice")
		user, created := f.login(appA, "oAlice", "uAlice")
		if created || user.ID != holder.ID || f.warnings(holder.ID, missing) != 1 {
			t.Errorf("created %v, user %d, want %d; log %s", created, user.ID, holder.ID, f.logs)
		}
		f.wantCounts(1, 2)
		f.wantNoOrphans()
	})
	t.Run("a restore has set the numbers back", func(t *testing.T) {
		f := newFixture(t)
		missing := f.newOrphan(appA, "oAlice")
		f.exec(fmt.Sprintf("ALTER TABLE users AUTO_INCREMENT = %d", missing))
		f.clock.advance(time.Second)
		if user, created := f.login(appA, "oAlice", ""); !created || !user.Active() {
			t.Errorf("created %v, user %+v", created, user)
		}
		f.wantCounts(1, 1)
		f.wantNoOrphans()
	})
	t.Run("before the login there is no user", func(t *testing.T) {
		f := newFixture(t)
		f.newOrphan(appA, "oAlice")
		_, find := f.users.Find(t.Context(), appA, "oAlice")
		_, _, update := f.users.UpdateProfile(t.Context(), appA, "oAlice", typed("Alice"))
		_, bind := f.users.BindPhone(t.Context(), appA, "oAlice", firstPhone)
		for _, err := range []error{find, update, bind} {
			if !errors.Is(err, store.ErrNotFound) {
				t.Errorf("error %v, want ErrNotFound", err)
			}
		}
	})
	for name, unionID := range map[string]string{"without unionid": "", "with unionid": "uAlice"} {
		t.Run("many logins at once "+name, func(t *testing.T) {
			const n = 64
			f := newFixture(t)
			missing := f.newOrphan(appA, "oAlice")
			servers := []*store.Users{f.users, f.secondServer(0).Users()}
			var created atomic.Int64
			ids := make([]uint64, n)
			concurrently(n, func(i int) {
				user, isNew, err := servers[i%2].Login(t.Context(), store.Identity{AppID: appA, OpenID: "oAlice", UnionID: unionID})
				if err != nil {
					t.Error(err)
				}
				if isNew {
					created.Add(1)
				}
				ids[i] = user.ID
			})
			user, _ := f.login(appA, "oAlice", unionID)
			for _, id := range ids {
				if id != user.ID {
					t.Errorf("a login got user %d, another %d", id, user.ID)
				}
			}
			if created.Load() != 1 || f.warnings(user.ID, missing) > 1 {
				t.Errorf("created %d times; log %s", created.Load(), f.logs)
			}
			f.wantCounts(1, 1)
			f.wantNoOrphans()
		})
	}
}

// An identity that is inserted between the two reads has a user: it is not reassigned.
func TestUsers_LoginInsertedInBetween(t *testing.T) {
	f := newFixture(t)
	other := f.secondServer(0).Users()
	id := store.Identity{AppID: appA, OpenID: "oAlice"}
	var theirs store.User
	inserts := 0
	f.wire.sabotage(func(sql string) (err error) {
		if strings.HasPrefix(sql, "INSERT INTO wechat_identities") {
			if inserts++; inserts == 1 {
				return errDeadlock
			}
		}
		if strings.Contains(sql, "LEFT JOIN") {
			theirs, _, err = other.Login(t.Context(), id)
		}
		return err
	}, nil)
	user, created, err := f.users.Login(t.Context(), id)
	if err != nil || created || user.ID != theirs.ID || theirs.ID == 0 {
		t.Errorf("user %d, created %v, %v; want user %d", user.ID, created, err, theirs.ID)
	}
	f.wantCounts(1, 1)
	f.wantNoOrphans()
}

var errDeadlock = &mysql.MySQLError{Number: 1213, Message: "Deadlock found when trying to get lock"}
