package store_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"wxlogin/store"
)

// days writes the counts and returns the rows of login_days, as "logins new active" by "day appid".
func (f *fixture) days() map[string]string {
	f.t.Helper()
	if err := f.db.WriteLoginDays(context.Background()); err != nil {
		f.t.Fatalf("WriteLoginDays: %v", err)
	}
	return f.writtenDays()
}

func (f *fixture) writtenDays() map[string]string {
	f.t.Helper()
	all := map[string]string{}
	for _, row := range f.rows("SELECT * FROM login_days") {
		all[row["day"]+" "+row["appid"]] = row["logins"] + " " + row["new_users"] + " " + row["active_users"]
	}
	return all
}

func (f *fixture) wantDays(got, want map[string]string) {
	f.t.Helper()
	if !maps.Equal(got, want) {
		f.t.Errorf("login_days %v, want %v", got, want)
	}
	f.wantPending(0)
}

func (f *fixture) wantPending(want int) {
	f.t.Helper()
	if got := f.db.PendingLoginDays(); got != want {
		f.t.Errorf("%d logins pending, want %d", got, want)
	}
}

const (
	today    = "2025-03-14 " // of newClock, at 15:09
	tomorrow = "2025-03-15 "
)

func TestDailyLogins(t *testing.T) {
	t.Run("new and returning", func(t *testing.T) {
		f := newFixture(t)
		f.login(appA, "oAlice", "")
		f.login(appA, "oAlice", "")
		f.login(appA, "oBob", "")
		f.login(appB, "oCarol", "")
		f.wantDays(f.days(), map[string]string{today + appA: "3 2 2", today + appB: "1 1 1"})
	})

	t.Run("writes add up", func(t *testing.T) {
		f := newFixture(t)
		f.login(appA, "oAlice", "")
		f.days()
		f.login(appA, "oAlice", "")
		f.login(appA, "oBob", "")
		f.wantDays(f.days(), map[string]string{today + appA: "3 2 2"})
		f.wire.reset()
		f.days()
		f.wire.wantVerbs(t) // nothing to write
	})

	t.Run("active once a day", func(t *testing.T) {
		f := newFixture(t)
		f.login(appA, "oAlice", "")
		for range 3 {
			f.clock.advance(2 * time.Hour) // last_login_at is written each time
			f.login(appA, "oAlice", "")
		}
		f.clock.advance(5 * time.Hour) // 02:09 of the next day
		f.login(appA, "oAlice", "")
		f.clock.advance(5 * time.Hour)
		f.login(appA, "oAlice", "")
		f.wantDays(f.days(), map[string]string{today + appA: "4 1 1", tomorrow + appA: "2 0 1"})
	})

	t.Run("a visit past midnight counts on both days", func(t *testing.T) {
		f := newFixture(t)
		f.login(appA, "oAlice", "")
		f.clock.advance(8*time.Hour + 30*time.Minute) // 23:39
		f.login(appA, "oAlice", "")
		f.clock.advance(30 * time.Minute) // 00:09
		f.login(appA, "oAlice", "")
		f.wantDays(f.days(), map[string]string{today + appA: "2 1 1", tomorrow + appA: "1 0 1"})
		f.clock.advance(30 * time.Minute) // 00:39
		f.login(appA, "oAlice", "")
		f.wantDays(f.days(), map[string]string{today + appA: "2 1 1", tomorrow + appA: "2 0 1"})
	})

	t.Run("one person in two mini programs is active once", func(t *testing.T) {
		f := newFixture(t)
		f.login(appA, "oAlice", "uAlice")
		f.login(appB, "oAliceInB", "uAlice") // links the identity
		f.clock.advance(24 * time.Hour)
		f.login(appB, "oAliceInB", "uAlice")
		f.login(appA, "oAlice", "uAlice")
		f.wantDays(f.days(), map[string]string{
			today + appA: "1 1 1", today + appB: "1 0 0", tomorrow + appA: "1 0 0", tomorrow + appB: "1 0 1",
		})
	})

	t.Run("a merge counts no new user", func(t *testing.T) {
		f := newFixture(t)
		f.login(appA, "oAlice", "uAlice")
		f.login(appB, "oAliceInB", "")
		f.login(appB, "oAliceInB", "uAlice")
		f.wantDays(f.days(), map[string]string{today + appA: "1 1 1", today + appB: "2 1 1"})
	})

	t.Run("disabled users do not count", func(t *testing.T) {
		f := newFixture(t)
		user, _ := f.login(appA, "oAlice", "")
		f.exec("UPDATE users SET status = 2 WHERE id = ?", user.ID)
		f.clock.advance(24 * time.Hour)
		f.login(appA, "oAlice", "")
		f.wantDays(f.days(), map[string]string{today + appA: "1 1 1"})
	})

	t.Run("a login that fails does not count", func(t *testing.T) {
		f := newFixture(t)
		f.wire.sabotage(cutAt("COMMIT"), nil)
		f.users.Login(t.Context(), store.Identity{AppID: appA, OpenID: "oAlice"})
		f.wantPending(0)
	})
}

func TestDailyLogins_Concurrent(t *testing.T) {
	// Of many concurrent logins of one user, one creates the user or makes it active, and all are counted.
	t.Run("concurrent logins of one user count one new and one active user", func(t *testing.T) {
		const n = 64
		f := newFixture(t)
		all := func() {
			concurrently(n, func(int) {
				if _, _, err := f.users.Login(t.Context(), store.Identity{AppID: appA, OpenID: "oAlice"}); err != nil {
					t.Error(err)
				}
			})
		}
		all()
		f.clock.advance(24 * time.Hour)
		f.clock.tick = time.Millisecond
		all()
		f.wantDays(f.days(), map[string]string{today + appA: "64 1 1", tomorrow + appA: "64 0 1"})
	})

	// Several servers write to the same rows.
	t.Run("several servers add up", func(t *testing.T) {
		const servers, logins = 8, 5
		f := newFixture(t)
		concurrently(servers, func(i int) {
			db, err := store.Open(f.dsn, store.Options{Now: f.clock.now})
			if err != nil {
				t.Error(err)
				return
			}
			defer db.Close()
			for j := range logins {
				for _, app := range []string{appA, appB} {
					id := store.Identity{AppID: app, OpenID: fmt.Sprintf("oUser%d_%d", i, j)}
					if _, _, err := db.Users().Login(t.Context(), id); err != nil {
						t.Error(err)
					}
				}
				if err := db.WriteLoginDays(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
		f.wantDays(f.days(), map[string]string{today + appA: "40 40 40", today + appB: "40 40 40"})
	})

	// Concurrent logins, writes and reads lose and repeat nothing.
	t.Run("logins count while counts are written", func(t *testing.T) {
		f := newFixture(t)
		f.login(appA, "oAlice", "")
		concurrently(16, func(i int) {
			for range 10 {
				if i%4 == 0 {
					f.db.WriteLoginDays(t.Context())
					f.db.PendingLoginDays()
				} else if _, _, err := f.users.Login(t.Context(), store.Identity{AppID: appA, OpenID: "oAlice"}); err != nil {
					t.Error(err)
				}
			}
		})
		f.wantDays(f.days(), map[string]string{today + appA: "121 1 1"})
	})
}

func TestDB_WriteLoginDays(t *testing.T) {
	t.Run("keeps the counts while MySQL is down", func(t *testing.T) {
		for _, cut := range []string{"BEGIN", "INSERT INTO `login_days`"} {
			t.Run(cut, func(t *testing.T) {
				f := newFixture(t)
				f.login(appA, "oAlice", "")
				f.wire.sabotage(cutAt(cut), nil)
				for range 3 {
					if err := f.db.WriteLoginDays(t.Context()); !errors.Is(err, store.ErrUnavailable) {
						t.Fatalf("error %v, want ErrUnavailable", err)
					}
				}
				f.wantPending(1)
				if got := f.db.LoginDaysFailures(); got != 3 {
					t.Errorf("%d failures, want 3", got)
				}
				f.wire.reset()
				f.login(appA, "oAlice", "")
				f.wantPending(2)
				f.wantDays(f.days(), map[string]string{today + appA: "2 1 1"})
			})
		}
		t.Run("response to the insert is lost", func(t *testing.T) {
			f := newFixture(t)
			f.login(appA, "oAlice", "")
			f.wire.sabotage(nil, cutAt("INSERT INTO `login_days`"))
			if err := f.db.WriteLoginDays(t.Context()); !errors.Is(err, store.ErrUnavailable) {
				t.Fatalf("error %v, want ErrUnavailable", err)
			}
			f.wire.reset()
			f.wantDays(f.days(), map[string]string{today + appA: "1 1 1"})
		})
		t.Run("table is missing", func(t *testing.T) {
			f := newFixture(t)
			f.login(appA, "oAlice", "")
			f.exec("RENAME TABLE login_days TO elsewhere")
			if err := f.db.WriteLoginDays(t.Context()); !errors.Is(err, store.ErrUnavailable) {
				t.Fatalf("error %v, want ErrUnavailable", err)
			}
			f.exec("RENAME TABLE elsewhere TO login_days")
			f.wantDays(f.days(), map[string]string{today + appA: "1 1 1"})
		})
		t.Run("caller gives up", func(t *testing.T) {
			f := newFixture(t)
			f.login(appA, "oAlice", "")
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := f.db.WriteLoginDays(ctx); !errors.Is(err, context.Canceled) {
				t.Fatalf("error %v, want context.Canceled", err)
			}
			if got := f.db.LoginDaysFailures(); got != 0 {
				t.Errorf("%d failures, want 0", got)
			}
			f.wantDays(f.days(), map[string]string{today + appA: "1 1 1"})
		})
	})

	// If the COMMIT is not confirmed, the counts may have been added: they are not added again.
	t.Run("counts nothing twice", func(t *testing.T) {
		t.Run("commit took place", func(t *testing.T) {
			f := newFixture(t)
			f.login(appA, "oAlice", "")
			f.wire.sabotage(nil, cutAt("COMMIT"))
			if err := f.db.WriteLoginDays(t.Context()); !errors.Is(err, store.ErrUnavailable) {
				t.Fatalf("error %v, want ErrUnavailable", err)
			}
			f.wantPending(0)
			f.wire.reset()
			f.wantDays(f.days(), map[string]string{today + appA: "1 1 1"})
		})
		t.Run("commit was lost", func(t *testing.T) {
			f := newFixture(t)
			f.login(appA, "oAlice", "")
			f.wire.sabotage(cutAt("COMMIT"), nil)
			if err := f.db.WriteLoginDays(t.Context()); !errors.Is(err, store.ErrUnavailable) {
				t.Fatalf("error %v, want ErrUnavailable", err)
			}
			f.wantPending(0)
			f.wire.reset()
			f.login(appA, "oAlice", "")
			f.wantDays(f.days(), map[string]string{today + appA: "1 0 0"})
		})
	})
}

func TestDB_RunLoginDays(t *testing.T) {
	// run starts the writer; write triggers one write and waits for it.
	run := func(f *fixture) (write, stop func()) {
		ctx, cancel := context.WithCancel(context.Background())
		due, ended := make(chan time.Time), make(chan struct{})
		go func() {
			defer close(ended)
			f.db.RunLoginDaysAt(ctx, due)
		}()
		write = func() {
			due <- time.Time{}
			due <- time.Time{} // received after the first write is done
		}
		return write, func() { cancel(); <-ended }
	}

	t.Run("writes when it is time", func(t *testing.T) {
		f := newFixture(t)
		write, stop := run(f)
		defer stop()
		f.login(appA, "oAlice", "")
		write()
		f.wantDays(f.writtenDays(), map[string]string{today + appA: "1 1 1"})
	})

	t.Run("writes once more at the stop", func(t *testing.T) {
		f := newFixture(t)
		_, stop := run(f)
		f.login(appA, "oAlice", "")
		stop()
		f.wantDays(f.writtenDays(), map[string]string{today + appA: "1 1 1"})
	})

	t.Run("logs an outage once", func(t *testing.T) {
		f := newFixture(t)
		write, stop := run(f)
		defer stop()
		f.login(appA, "oAlice", "")
		f.wire.sabotage(cutAt("INSERT INTO `login_days`"), nil)
		write()
		write()
		f.wire.reset()
		write()
		for text, want := range map[string]int{"write failed, will retry": 1, "write succeeded again": 1} {
			if got := strings.Count(f.logs.String(), text); got != want {
				t.Errorf("%q is logged %d times, want %d", text, got, want)
			}
		}
		f.wantDays(f.writtenDays(), map[string]string{today + appA: "1 1 1"})
	})

	t.Run("logs what a shutdown loses", func(t *testing.T) {
		f := newFixture(t)
		_, stop := run(f)
		f.login(appA, "oAlice", "")
		f.login(appA, "oAlice", "")
		f.wire.sabotage(cutAt("INSERT INTO `login_days`"), nil)
		stop()
		if !strings.Contains(f.logs.String(), "last write failed") || !strings.Contains(f.logs.String(), "logins=2") {
			t.Errorf("log %s", f.logs)
		}
	})
}

// Counting must not slow down logins.
func TestDailyLogins_CountAllocs(t *testing.T) {
	var days store.DailyLogins
	at := time.Now()
	days.Count(appA, at)
	if n := testing.AllocsPerRun(1000, func() { days.Count(appA, at) }); n != 0 {
		t.Errorf("%v allocations a login", n)
	}
}

func BenchmarkDailyLogins_Count(b *testing.B) {
	var days store.DailyLogins
	at := time.Now()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			days.Count(appA, at)
		}
	})
}
