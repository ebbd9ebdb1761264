package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"wxlogin/store"
)

// changes are the calls that read and write one user's row.
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

// Concurrent changes of one user wait for each other instead of failing: none is sent twice.
func testChangesAtOnce(t *testing.T) {
	const n = 300
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.login(appA, "oAlice", "")
			f.wire.reset()
			concurrently(n, func(i int) {
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

// Several servers change one user concurrently: the database queues them, and none fails.
func testChangesByServers(t *testing.T) {
	const servers, each = 4, 32
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			user, _ := f.login(appA, "oAlice", "")
			users := []*store.Users{f.users}
			for range servers - 1 {
				users = append(users, f.secondServer(0).Users())
			}
			concurrently(servers*each, func(i int) {
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

// After a few conflicts a change locks the row, which prevents further conflicts.
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

// A call that waits for another change of the same user returns when its context ends.
func testChangeGivesUp(t *testing.T) {
	b := newWriterFixture(t, 0)
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

// An endless conflict is an outage, not a bug of this server.
func TestUsers_LoginEndlessConflict(t *testing.T) {
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

// typed is an update that the user has entered.
func typed(nickName string) store.Profile {
	return store.Profile{NickName: nickName, Source: store.SourceUser}
}

func TestUsers_UpdateProfileClocks(t *testing.T) {
	t.Run("what a person types always counts", testTypedCounts)
	t.Run("WeChat's data counts soon after a fast clock", testWatermarkAfterFastClock)
	t.Run("a stored time in the future counts as now and heals", testFutureHeals)
	t.Run("an update with the same watermark in between is seen", testSameWatermark)
}

// leads are how far another server's clock, or a stored time, is ahead.
var leads = []time.Duration{-time.Hour, -time.Second / 2, -time.Millisecond, 0, time.Millisecond, time.Second / 2, time.Hour, 365 * 24 * time.Hour}

func testTypedCounts(t *testing.T) {
	for _, lead := range leads {
		t.Run(fmt.Sprint("after a server that is ahead by ", lead), func(t *testing.T) {
			f := newFixture(t)
			other := f.secondServer(lead).Users()
			f.login(appA, "oAlice", "")
			for i := range 6 {
				if _, _, err := other.UpdateProfile(t.Context(), appA, "oAlice", typed("Before")); err != nil {
					t.Fatal(err)
				}
				before := f.row("SELECT profile_as_of, profile_updated_at FROM users")
				name := fmt.Sprint("Alice ", i)
				if user := f.update(appA, "oAlice", typed(name)); user.NickName != name {
					t.Errorf("update %d: returned %q", i, user.NickName)
				}
				after := f.row("SELECT nickname, profile_as_of, profile_updated_at FROM users")
				if after["nickname"] != name || after["profile_as_of"] == before["profile_as_of"] && after["profile_updated_at"] == before["profile_updated_at"] {
					t.Errorf("update %d: before %v, after %v", i, before, after)
				}
				if limit := f.clock.now().Add(time.Millisecond).Format("2006-01-02 15:04:05.000"); after["profile_as_of"] > limit {
					t.Errorf("profile_as_of is %s, now is %s", after["profile_as_of"], limit)
				}
			}
		})
	}
}

// WeChat's data has a watermark of about a second ago. If the stored time is in the future, the first update may be
// too old, but not all.
func testWatermarkAfterFastClock(t *testing.T) {
	for _, stored := range []struct {
		name  string
		given store.Profile // what the other server wrote
	}{
		{"typed", typed("Before")},
		{"from WeChat", store.Profile{NickName: "Before", AsOf: late.AddDate(50, 0, 0)}},
	} {
		for _, lead := range leads {
			t.Run(fmt.Sprint(stored.name, " ", lead), func(t *testing.T) {
				f := newFixture(t)
				f.login(appA, "oAlice", "")
				if _, _, err := f.secondServer(lead).Users().UpdateProfile(t.Context(), appA, "oAlice", stored.given); err != nil {
					t.Fatal(err)
				}
				for range 2 {
					watermark := f.clock.now().Truncate(time.Second).Add(-time.Second)
					f.update(appA, "oAlice", store.Profile{NickName: "Alice", AsOf: watermark})
					f.clock.advance(2 * time.Second)
				}
				row := f.row("SELECT nickname, profile_as_of FROM users")
				if row["nickname"] != "Alice" || row["profile_as_of"] > f.clock.now().Format(time.DateTime) {
					t.Errorf("row %v", row)
				}
			})
		}
	}
}

func testFutureHeals(t *testing.T) {
	const inAYear = "2026-03-14 00:00:00.000"
	second := newClock().now().Truncate(time.Second)
	healed := []string{"profile_as_of"}
	for name, tt := range map[string]struct {
		given   store.Profile
		want    string // nickname
		columns []string
	}{
		"a watermark of this second is not older": {store.Profile{NickName: "Alice", AsOf: second}, "Alice",
			[]string{"nickname", "profile_as_of", "profile_updated_at", "updated_at"}},
		"an older watermark is, and heals":          {store.Profile{NickName: "Alice", AsOf: second.Add(-time.Second)}, "Before", healed},
		"data that changes nothing heals":           {store.Profile{NickName: "Before", AsOf: second}, "Before", healed},
		"typed data that changes nothing heals too": {typed("Before"), "Before", healed},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			user, _ := f.login(appA, "oAlice", "")
			f.update(appA, "oAlice", store.Profile{NickName: "Before"})
			f.exec("UPDATE users SET profile_as_of = ?, profile_updated_at = '2025-03-01', updated_at = '2025-03-01'", inAYear)
			before := f.user(user.ID)
			got := f.update(appA, "oAlice", tt.given)
			f.wantWritten(t, user.ID, before, tt.columns)
			asOf := strings.TrimSuffix(f.user(user.ID)["profile_as_of"], ".000") // not all engines write it
			if want := second.Format(time.DateTime); got.NickName != tt.want || asOf != want {
				t.Errorf("nickname %q, as of %s; want %q, %s", got.NickName, asOf, tt.want, want)
			}
			if again, err := f.users.Find(t.Context(), appA, "oAlice"); err != nil || again != got {
				t.Errorf("the row reads\n %+v\nreturned was\n %+v, %v", again, got, err)
			}
		})
	}
}

// Two updates have one watermark. The second was read before the first was written, and must detect that.
func testSameWatermark(t *testing.T) {
	f := newFixture(t)
	other := f.secondServer(0).Users()
	f.login(appA, "oAlice", "")
	f.update(appA, "oAlice", store.Profile{NickName: "Before", AvatarURL: "https://a/0", AsOf: early})
	f.wire.reset()
	f.wire.beforeUpdate(func() error {
		_, _, err := other.UpdateProfile(t.Context(), appA, "oAlice", store.Profile{AvatarURL: "https://a/1", AsOf: early})
		return err
	})
	_, replaced, err := f.users.UpdateProfile(t.Context(), appA, "oAlice", store.Profile{AvatarURL: "https://a/2", AsOf: early})
	if err != nil || replaced != "https://a/1" {
		t.Errorf("replaced %q, %v", replaced, err)
	}
	f.wire.wantVerbs(t, "SELECT", "UPDATE", "SELECT", "UPDATE")
}

func TestUsers_LoginClocks(t *testing.T) {
	t.Run("a last login in the future is written again", testLastLoginInFuture)
	t.Run("a merge keeps the user who was first", testMergeAfterFastClock)
}

func testLastLoginInFuture(t *testing.T) {
	for name, tt := range map[string]struct {
		ahead   time.Duration
		written bool
	}{
		"by a second, which passes": {time.Second, false},
		"by half an hour":           {30 * time.Minute, false},
		"by a day":                  {24 * time.Hour, true},
		"by a year":                 {365 * 24 * time.Hour, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			if _, _, err := f.secondServer(tt.ahead).Users().Login(t.Context(), store.Identity{AppID: appA, OpenID: "oAlice"}); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				f.login(appA, "oAlice", "")
			}
			ahead := f.row("SELECT last_login_at FROM users")["last_login_at"] > f.clock.now().Format("2006-01-02 15:04:05.000")
			if ahead == tt.written {
				t.Errorf("last_login_at is in the future: %v", ahead)
			}
			if n := strings.Count(strings.Join(f.wire.verbs(), " "), "UPDATE"); n > 1 {
				t.Errorf("written %d times", n)
			}
		})
	}
}

// If a clock was fast at the first login of the older user, that user is still the older one.
func testMergeAfterFastClock(t *testing.T) {
	for name, lead := range map[string][2]time.Duration{
		"the first user's clock": {time.Hour, 0}, "both clocks": {48 * time.Hour, time.Hour}, "neither": {0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			var ids [2]uint64
			for i, id := range []store.Identity{{AppID: appA, OpenID: "oAliceInA"}, {AppID: appB, OpenID: "oAliceInB", UnionID: "uAlice"}} {
				user, _, err := f.secondServer(lead[i]).Users().Login(t.Context(), id)
				if err != nil {
					t.Fatal(err)
				}
				ids[i] = user.ID
				f.clock.advance(time.Second)
			}
			if user, _ := f.login(appA, "oAliceInA", "uAlice"); user.ID != ids[0] {
				t.Errorf("user %d survives, want the first of %v", user.ID, ids)
			}
			wantOnePerson(f, 2)
		})
	}
}
