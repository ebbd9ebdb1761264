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

// days are the rows of login_days after a write, as "logins new active" by "day appid".
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

func TestLoginDays(t *testing.T) {
	t.Run("new_and_returning", func(t *testing.T) {
		f := newFixture(t)
		f.login(appA, "oAlice", "")
		f.login(appA, "oAlice", "")
		f.login(appA, "oBob", "")
		f.login(appB, "oCarol", "")
		f.wantDays(f.days(), map[string]string{today + appA: "3 2 2", today + appB: "1 1 1"})
	})

	t.Run("writes_add_up", func(t *testing.T) {
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

	t.Run("active_once_a_day", func(t *testing.T) {
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

	t.Run("a_visit_past_midnight_belongs_to_the_day_on_which_it_began", func(t *testing.T) {
		f := newFixture(t)
		f.login(appA, "oAlice", "")
		f.clock.advance(8*time.Hour + 30*time.Minute) // 23:39
		f.login(appA, "oAlice", "")
		f.clock.advance(30 * time.Minute) // 00:09
		f.login(appA, "oAlice", "")
		f.wantDays(f.days(), map[string]string{today + appA: "2 1 1", tomorrow + appA: "1 0 0"})
		f.clock.advance(30 * time.Minute) // 00:39: an hour after the last one on record
		f.login(appA, "oAlice", "")
		f.wantDays(f.days(), map[string]string{today + appA: "2 1 1", tomorrow + appA: "2 0 1"})
	})

	t.Run("one_person_in_two_mini_programs_is_active_once", func(t *testing.T) {
		f := newFixture(t)
		f.login(appA, "oAlice", "uAlice")
		f.login(appB, "oAliceInB", "uAlice") // joins the user
		f.clock.advance(24 * time.Hour)
		f.login(appB, "oAliceInB", "uAlice")
		f.login(appA, "oAlice", "uAlice")
		f.wantDays(f.days(), map[string]string{
			today + appA: "1 1 1", today + appB: "1 0 0", tomorrow + appA: "1 0 0", tomorrow + appB: "1 0 1",
		})
	})

	t.Run("a_merge_makes_nobody_new", func(t *testing.T) {
		f := newFixture(t)
		f.login(appA, "oAlice", "uAlice")
		f.login(appB, "oAliceInB", "")
		f.login(appB, "oAliceInB", "uAlice")
		f.wantDays(f.days(), map[string]string{today + appA: "1 1 1", today + appB: "2 1 1"})
	})

	t.Run("disabled_users_do_not_count", func(t *testing.T) {
		f := newFixture(t)
		user, _ := f.login(appA, "oAlice", "")
		f.exec("UPDATE users SET status = 2 WHERE id = ?", user.ID)
		f.clock.advance(24 * time.Hour)
		f.login(appA, "oAlice", "")
		f.wantDays(f.days(), map[string]string{today + appA: "1 1 1"})
	})

	t.Run("a_login_that_fails_does_not_count", func(t *testing.T) {
		f := newFixture(t)
		f.wire.sabotage(cutAt("COMMIT"), nil)
		f.users.Login(t.Context(), store.Identity{AppID: appA, OpenID: "oAlice"})
		f.wantPending(0)
	})
}

// Of many logins of one person at once one makes the user, or makes it active, and all are counted.
func TestLoginDays_concurrent_logins(t *testing.T) {
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
}

// Several servers write into the same rows.
func TestLoginDays_of_several_servers_add_up(t *testing.T) {
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
}

// Counting, writing and asking at the same time loses and repeats nothing.
func TestLoginDays_counted_while_they_are_written(t *testing.T) {
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
}

func TestDB_WriteLoginDays_keeps_counts_while_MySQL_is_away(t *testing.T) {
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
	t.Run("answer_to_the_insert_is_lost", func(t *testing.T) {
		f := newFixture(t)
		f.login(appA, "oAlice", "")
		f.wire.sabotage(nil, cutAt("INSERT INTO `login_days`"))
		if err := f.db.WriteLoginDays(t.Context()); !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("error %v, want ErrUnavailable", err)
		}
		f.wire.reset()
		f.wantDays(f.days(), map[string]string{today + appA: "1 1 1"})
	})
	t.Run("table_is_missing", func(t *testing.T) {
		f := newFixture(t)
		f.login(appA, "oAlice", "")
		f.exec("RENAME TABLE login_days TO elsewhere")
		if err := f.db.WriteLoginDays(t.Context()); !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("error %v, want ErrUnavailable", err)
		}
		f.exec("RENAME TABLE elsewhere TO login_days")
		f.wantDays(f.days(), map[string]string{today + appA: "1 1 1"})
	})
	t.Run("caller_gives_up", func(t *testing.T) {
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
}

// Where the COMMIT is not answered, the counts may be there or not: they are not added again.
func TestDB_WriteLoginDays_counts_nothing_twice(t *testing.T) {
	t.Run("commit_took_place", func(t *testing.T) {
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
	t.Run("commit_was_lost", func(t *testing.T) {
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
}

func TestDB_RunLoginDays(t *testing.T) {
	// run starts the writer; write has it write once and waits until it is back.
	run := func(f *fixture) (write, stop func()) {
		ctx, cancel := context.WithCancel(context.Background())
		due, ended := make(chan time.Time), make(chan struct{})
		go func() {
			defer close(ended)
			f.db.RunLoginDaysAt(ctx, due)
		}()
		write = func() {
			due <- time.Time{}
			due <- time.Time{} // taken when the first is through
		}
		return write, func() { cancel(); <-ended }
	}

	t.Run("writes_when_it_is_time", func(t *testing.T) {
		f := newFixture(t)
		write, stop := run(f)
		defer stop()
		f.login(appA, "oAlice", "")
		write()
		f.wantDays(f.writtenDays(), map[string]string{today + appA: "1 1 1"})
	})

	t.Run("writes_once_more_at_the_stop", func(t *testing.T) {
		f := newFixture(t)
		_, stop := run(f)
		f.login(appA, "oAlice", "")
		stop()
		f.wantDays(f.writtenDays(), map[string]string{today + appA: "1 1 1"})
	})

	t.Run("logs_an_outage_once", func(t *testing.T) {
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

	t.Run("tells_what_a_stop_loses", func(t *testing.T) {
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

// Counting costs a login nothing that can be measured, and no memory.
func TestLoginDays_counting_allocates_nothing(t *testing.T) {
	var days store.DailyLogins
	at := time.Now()
	days.Count(appA, at)
	if n := testing.AllocsPerRun(1000, func() { days.Count(appA, at) }); n != 0 {
		t.Errorf("%v allocations a login", n)
	}
}

func BenchmarkLoginDays_count(b *testing.B) {
	var days store.DailyLogins
	at := time.Now()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			days.Count(appA, at)
		}
	})
}
