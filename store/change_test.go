package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"wxlogin/store"
)

// changes are the calls that write one user's row after reading it.
var changes = map[string]func(u *store.Users, i int) error{
	"profile": func(u *store.Users, i int) error {
		_, _, err := u.UpdateProfile(context.Background(), appA, "oAlice", typed(fmt.Sprint("Alice ", i)))
		return err
	},
	"picture": func(u *store.Users, i int) error {
		_, _, err := u.UpdateProfile(context.Background(), appA, "oAlice", picture(fmt.Sprint(i)))
		return err
	},
	"phone": func(u *store.Users, i int) error {
		_, err := u.BindPhone(context.Background(), appA, "oAlice", store.Phone{CountryCode: "86", Number: fmt.Sprint(13800138000 + i)})
		return err
	},
}

func TestUsers_changeUser(t *testing.T) {
	t.Run("changes of one user at once wait for each other", testChangesAtOnce)
	t.Run("changes by several servers at once succeed", testChangesByServers)
	t.Run("conflicts end under a lock", testChangeLocks)
	t.Run("a waiter gives up with its context", testChangeGivesUp)
}

// Changes of one user at once wait for each other instead of failing: none is sent twice.
func testChangesAtOnce(t *testing.T) {
	const n = 300
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.login(appA, "oAlice", "")
			f.wire.reset()
			together(n, func(i int) {
				if err := change(f.users, i); err != nil {
					t.Error(err)
				}
			})
			sent := map[string]int{}
			for _, verb := range f.wire.verbs() {
				sent[verb]++
			}
			if sent["SELECT"] != n || sent["UPDATE"] != n {
				t.Errorf("sent %v, want %d of each", sent, n)
			}
		})
	}
}

// Several servers change one user at once: the database has them queue in the end, and none fails.
func testChangesByServers(t *testing.T) {
	const servers, each = 4, 32
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			user, _ := f.login(appA, "oAlice", "")
			users := []*store.Users{f.users}
			for range servers - 1 {
				users = append(users, f.second(0).Users())
			}
			together(servers*each, func(i int) {
				if err := change(users[i%servers], i); err != nil {
					t.Error(err)
				}
			})
			if row := f.user(user.ID); row["nickname"]+row["avatar_url"]+row["phone_number"] == "NULL" {
				t.Errorf("nothing was written: %v", row)
			}
		})
	}
}

// After a few conflicts a change locks the row, and then nothing can come between.
func testChangeLocks(t *testing.T) {
	for name, tt := range map[string]struct{ between, column, want string }{
		"profile": {"UPDATE users SET profile_updated_at = profile_updated_at + INTERVAL 1 SECOND", "nickname", "Alice 1"},
		"picture": {"UPDATE users SET profile_updated_at = profile_updated_at + INTERVAL 1 SECOND", "avatar_url", picture("1").AvatarURL},
		"phone":   {"UPDATE users SET phone_country_code = phone_country_code + 1", "phone_number", "13800138001"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			user, _ := f.login(appA, "oAlice", "")
			f.update(appA, "oAlice", typed("Before"))
			f.bind(appA, "oAlice", firstPhone)
			f.wire.reset()
			locked := false
			f.wire.sabotage(func(sql string) error {
				locked = locked || sql == "BEGIN"
				if strings.HasPrefix(sql, "UPDATE") && !locked {
					f.exec(tt.between)
				}
				return nil
			}, nil)
			if err := changes[name](f.users, 1); err != nil {
				t.Error(err)
			}
			f.wire.wantVerbs(t, "SELECT", "UPDATE", "SELECT", "UPDATE", "SELECT", "UPDATE",
				"SELECT", "BEGIN", "SELECT", "UPDATE", "COMMIT")
			if row := f.user(user.ID); row[tt.column] != tt.want {
				t.Errorf("%s is %q, want %q", tt.column, row[tt.column], tt.want)
			}
		})
	}
}

// A call that waits for another change of the same user gives up when its context ends.
func testChangeGivesUp(t *testing.T) {
	b := newBusy(t, 0)
	for name, tt := range map[string]struct {
		end  func(context.Context) (context.Context, context.CancelFunc)
		want error
	}{
		"cancelled": {context.WithCancel, context.Canceled},
		"expired": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 1)
		}, store.ErrUnavailable},
	} {
		ctx, cancel := tt.end(t.Context())
		sent := len(b.wire.statements())
		errs := make(chan error)
		go func() {
			_, _, err := b.users.UpdateProfile(ctx, appA, "oBusy0", typed("Alice"))
			errs <- err
		}()
		cancel()
		if err := <-errs; !errors.Is(err, tt.want) || errors.Is(err, store.ErrUnavailable) != (tt.want == store.ErrUnavailable) {
			t.Errorf("%s: error %v", name, err)
		}
		if n := len(b.wire.statements()) - sent; n != 0 {
			t.Errorf("%s: it sent %d statements", name, n)
		}
	}
	b.release()
}

// What others win again and again is an outage of the moment and no fault of this server.
func TestUsers_Login_endlessConflict(t *testing.T) {
	f := newFixture(t)
	f.wire.sabotage(func(sql string) error {
		if strings.HasPrefix(sql, "INSERT") {
			return &mysql.MySQLError{Number: 1062, Message: "Duplicate entry"}
		}
		return nil
	}, nil)
	_, created, err := f.users.Login(t.Context(), store.Identity{AppID: appA, OpenID: "oAlice"})
	if created || !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("created %v, error %v; want ErrUnavailable", created, err)
	}
}
