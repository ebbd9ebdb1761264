package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"wxlogin/store"
)

func TestUsers_Login(t *testing.T) {
	t.Run("first login creates", func(t *testing.T) {
		f := newFixture(t)
		user, created := f.login(appA, "oAlice", "uAlice")
		now := f.clock.now().Truncate(time.Millisecond)
		if !created || user.ID == 0 || user.UnionID != "uAlice" || user.Status != store.StatusActive || user.ProfileComplete() {
			t.Errorf("created %v, user %+v", created, user)
		}
		if !user.CreatedAt.Equal(now) || !user.UpdatedAt.Equal(now) || !user.LastLoginAt.Equal(now) {
			t.Errorf("times %v %v %v, want %v", user.CreatedAt, user.UpdatedAt, user.LastLoginAt, now)
		}
		f.wire.wantVerbs(t, "SELECT", "SELECT", "BEGIN", "INSERT", "INSERT", "COMMIT")
		f.wantCounts(1, 1)

		again, created := f.login(appA, "oAlice", "uAlice")
		if created || again != user {
			t.Errorf("read back: created %v\n got %+v\nwant %+v", created, again, user)
		}
	})

	t.Run("returning within the hour is one select", func(t *testing.T) {
		f := newFixture(t)
		f.login(appA, "oAlice", "uAlice")
		f.clock.advance(time.Hour - time.Second)
		f.wire.reset()
		f.login(appA, "oAlice", "uAlice")
		f.login(appA, "oAlice", "")
		f.wire.wantVerbs(t, "SELECT", "SELECT")
	})

	t.Run("returning after the hour is one update", func(t *testing.T) {
		f := newFixture(t)
		user, _ := f.login(appA, "oAlice", "")
		before := f.user(user.ID)
		f.clock.advance(time.Hour)
		f.wire.reset()
		user, _ = f.login(appA, "oAlice", "")
		f.wire.wantVerbs(t, "SELECT", "UPDATE")
		if want := f.clock.now().Truncate(time.Millisecond); !user.LastLoginAt.Equal(want) {
			t.Errorf("last login %v, want %v", user.LastLoginAt, want)
		}
		if got := changed(before, f.user(user.ID)); !slices.Equal(got, []string{"last_login_at", "last_seen_at"}) {
			t.Errorf("changed %v, want last_login_at and last_seen_at only", got)
		}
		f.wire.reset()
		f.login(appA, "oAlice", "")
		f.wire.wantVerbs(t, "SELECT")
	})

	t.Run("a disabled user is returned and not touched", func(t *testing.T) {
		f := newFixture(t)
		user, _ := f.login(appA, "oAlice", "")
		f.exec("UPDATE users SET status = 2 WHERE id = ?", user.ID)
		f.clock.advance(48 * time.Hour)
		f.wire.reset()
		user, created := f.login(appA, "oAlice", "")
		if created || user.Active() {
			t.Errorf("created %v, active %v", created, user.Active())
		}
		f.wire.wantVerbs(t, "SELECT")
	})
}

func TestUsers_LoginIdentities(t *testing.T) {
	f := newFixture(t)
	lower, _ := f.login(appA, "oabcDEF-_1", "")
	upper, created := f.login(appA, "oABCdef-_1", "")
	if !created || lower.ID == upper.ID {
		t.Fatal("openids that differ in case are one user")
	}
	f.update(appA, "oabcDEF-_1", store.Profile{NickName: "lower"})
	if got, _ := f.login(appA, "oABCdef-_1", ""); got.NickName != "" {
		t.Errorf("the other one's profile: %q", got.NickName)
	}
	if _, _, err := f.users.UpdateProfile(t.Context(), appA, "oABCDEF-_1", store.Profile{NickName: "x"}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a third spelling: %v, want ErrNotFound", err)
	}

	other, created := f.login(appB, "oabcDEF-_1", "")
	if !created || other.ID == lower.ID || other.NickName != "" {
		t.Error("one openid in two appids is one user")
	}
	one, _ := f.login(appA, "oOne", "uPerson")
	two, created := f.login(appA, "oTwo", "uPERSON")
	if !created || one.ID == two.ID {
		t.Error("unionids that differ in case are one user")
	}
	f.wantCounts(5, 5)
}

func TestUsers_LoginConcurrent(t *testing.T) {
	t.Run("first logins create one user", func(t *testing.T) {
		const n = 64
		run := func(t *testing.T, unionID string, apps ...string) {
			f := newFixture(t)
			var creations atomic.Int32
			ids := make([]uint64, n)
			concurrently(n, func(i int) {
				user, created, err := f.users.Login(t.Context(), store.Identity{AppID: apps[i%len(apps)], OpenID: "oAlice", UnionID: unionID})
				if err != nil {
					t.Error(err)
				}
				if created {
					creations.Add(1)
				}
				ids[i] = user.ID
			})
			if got := creations.Load(); got != 1 {
				t.Errorf("created %d times, want 1", got)
			}
			for _, id := range ids {
				if id != ids[0] {
					t.Fatalf("several users: %v", ids)
				}
			}
			f.wantCounts(1, len(apps))
			f.wantNoOrphans()
		}
		t.Run("one identity", func(t *testing.T) { run(t, "", appA) })
		t.Run("one identity with unionid", func(t *testing.T) { run(t, "uAlice", appA) })
		t.Run("several apps with unionid", func(t *testing.T) { run(t, "uAlice", appA, appB, appC) })
	})

	t.Run("returning logins after the hour write once", func(t *testing.T) {
		f := newFixture(t)
		f.login(appA, "oAlice", "")
		f.clock.advance(2 * time.Hour)
		f.clock.tick = time.Millisecond // each login has another time to write
		start := f.clock.now().Truncate(time.Millisecond)
		f.wire.reset()
		concurrently(32, func(int) {
			if _, created, err := f.users.Login(t.Context(), store.Identity{AppID: appA, OpenID: "oAlice"}); err != nil || created {
				t.Errorf("created %v, error %v", created, err)
			}
		})
		var written int64
		for _, s := range f.wire.statements() {
			written += s.affected
		}
		if written != 1 {
			t.Errorf("last_login_at written %d times, want 1", written)
		}
		if user, _ := f.login(appA, "oAlice", ""); !user.LastLoginAt.After(start) || user.LastLoginAt.After(start.Add(time.Second)) {
			t.Errorf("last login %v, want soon after %v", user.LastLoginAt, start)
		}
	})
}

func TestUsers_LoginInvalidIdentity(t *testing.T) {
	f := newFixture(t)
	for name, id := range map[string]store.Identity{
		"no openid":             {AppID: appA},
		"no appid":              {OpenID: "oAlice"},
		"unionid alone":         {UnionID: "uAlice"},
		"space at the end":      {AppID: appA, OpenID: "oAlice "},
		"not ascii":             {AppID: appA, OpenID: "oÄlice"},
		"control character":     {AppID: appA, OpenID: "oAlice", UnionID: "u\x00"},
		"openid longer than 64": {AppID: appA, OpenID: strings.Repeat("o", 65)},
		"appid longer than 32":  {AppID: strings.Repeat("w", 33), OpenID: "oAlice"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, created, err := f.users.Login(t.Context(), id); created || !errors.Is(err, store.ErrIdentity) {
				t.Errorf("Login: created %v, error %v", created, err)
			}
			if _, _, err := f.users.UpdateProfile(t.Context(), "", id.OpenID, store.Profile{NickName: "x"}); !errors.Is(err, store.ErrIdentity) {
				t.Errorf("UpdateProfile: %v", err)
			}
		})
	}
	f.wire.wantVerbs(t)
	f.wantCounts(0, 0)
}

func TestUsers_LoginAllOrNothing(t *testing.T) {
	for _, cut := range []string{"INSERT INTO users", "INSERT INTO wechat_identities", "COMMIT"} {
		t.Run("cut at "+strings.Trim(cut[max(0, strings.LastIndex(cut, " ")):], " `"), func(t *testing.T) {
			f := newFixture(t)
			f.wire.sabotage(cutAt(cut), nil)
			_, created, err := f.users.Login(t.Context(), store.Identity{AppID: appA, OpenID: "oAlice"})
			if created || !errors.Is(err, store.ErrUnavailable) {
				t.Fatalf("created %v, error %v; want ErrUnavailable", created, err)
			}
			f.wire.reset()
			if _, created := f.login(appA, "oAlice", ""); !created {
				t.Error("the next login does not create the user")
			}
			f.wantCounts(1, 1)
		})
	}
}

// cutAt is for wire.sabotage: the connection breaks at the first statement with this prefix.
func cutAt(prefix string) func(string) error {
	return func(sql string) error {
		if strings.HasPrefix(sql, prefix) {
			return errCut
		}
		return nil
	}
}

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

// A login does not wait longer than its context for the COMMIT of a server that hangs. Whether that was done shows later.
func TestUsers_LoginHangingCommit(t *testing.T) {
	f := newFixture(t)
	reached, goOn := make(chan struct{}), make(chan struct{})
	f.wire.sabotage(func(sql string) error {
		if sql == "COMMIT" {
			close(reached)
			<-goOn
		}
		return nil
	}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-reached
		cancel()
	}()
	if _, _, err := f.users.Login(ctx, store.Identity{AppID: appA, OpenID: "o1"}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	f.wire.reset()
	close(goOn)
	f.login(appA, "o1", "")
	f.wantCounts(1, 1)
}
