package store_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"wxlogin/store"
)

// newShanghai is a fixture whose days are those of Shanghai, which end at 16:00 UTC.
func newShanghai(t *testing.T) *fixture {
	t.Helper()
	f := newFixture(t)
	f.db = f.openShanghai()
	f.users = f.db.Users()
	return f
}

// openShanghai is a server in Shanghai.
func (f *fixture) openShanghai() *store.DB {
	f.t.Helper()
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		f.t.Fatal(err)
	}
	db, err := store.Open(f.dsn, store.Options{Now: f.clock.now, Zone: zone, OpenDB: f.wire.openDB})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { db.Close() })
	return db
}

func TestUsers_LastSeen(t *testing.T) {
	f := newShanghai(t) // 15:09:26 UTC, so 23:09 in Shanghai
	alice, _ := f.login(appA, "oAlice", "")
	find := func(writes bool) {
		t.Helper()
		f.wire.reset()
		if _, err := f.users.Find(t.Context(), appA, "oAlice"); err != nil {
			t.Fatal(err)
		}
		if got := len(f.wire.verbs()) == 2; got != writes {
			t.Errorf("%v: wrote %v, want %v", f.clock.now(), got, writes)
		}
		want := f.clock.now().Truncate(time.Millisecond).Format("2006-01-02 15:04:05.000")
		if row := f.user(alice.ID); writes && (row["last_seen_at"] != want || row["last_login_at"] == want) {
			t.Errorf("seen %s, want %s", row["last_seen_at"], want)
		}
	}
	f.clock.advance(30 * time.Minute)
	find(false)
	f.clock.advance(30 * time.Minute) // 00:09, a new day
	find(true)
	f.clock.advance(59 * time.Minute)
	find(false)
	f.clock.advance(time.Minute)
	find(true)
	find(false)
	f.clock.advance(time.Hour)
	f.exec("UPDATE users SET status = 2")
	find(false)
	days := f.days()
	f.wantDays(days, map[string]string{today + appA: "1 1 1", tomorrow + appA: "0 0 1"})
	if zone := f.row("SELECT DISTINCT time_zone FROM login_days")["time_zone"]; zone != "Asia/Shanghai" {
		t.Errorf("zone %s", zone)
	}
}

// A request that can be answered without the primary does not fail, nor wait for it each time.
func TestUsers_LastSeenUnwritable(t *testing.T) {
	f := newShanghai(t)
	f.login(appA, "oAlice", "")
	f.clock.advance(2 * time.Hour)
	tries := 0
	f.wire.sabotage(func(sql string) error {
		if !strings.HasPrefix(sql, "UPDATE") {
			return nil
		}
		tries++
		return errCut
	}, nil)
	for range 3 {
		if user, err := f.users.Find(t.Context(), appA, "oAlice"); err != nil || user.ID == 0 {
			t.Errorf("%+v, %v", user, err)
		}
	}
	if tries != 1 {
		t.Errorf("tried to write %d times", tries)
	}
	f.wire.reset()
	f.clock.advance(2 * time.Second)
	if _, err := f.users.Find(t.Context(), appA, "oAlice"); err != nil {
		t.Fatal(err)
	}
	f.wantDays(f.days(), map[string]string{today + appA: "1 1 1", tomorrow + appA: "0 0 1"})
}

// In a week of random requests by two servers, the active users of each day are those who sent a request on that day in
// Shanghai, each counted once, in the app of the first one.
func TestLoginDays_Week(t *testing.T) {
	f := newShanghai(t)
	second := f.openShanghai()
	shanghai := time.FixedZone("Shanghai", 8*3600)
	type visit struct{ day, openID string }
	first := map[visit]bool{}
	want := map[string][3]int{} // day and app to logins, new and active users
	known := map[string]bool{}
	for range 600 {
		f.clock.advance(rand.N(34 * time.Minute))
		openID := fmt.Sprintf("o%d", rand.N(12))
		app, users := appA, f.users
		if rand.N(2) == 0 {
			users = second.Users()
		}
		day := f.clock.now().In(shanghai).Format(time.DateOnly) + " "
		c := want[day+app]
		var err error
		if !known[openID] || rand.N(3) == 0 {
			_, _, err = users.Login(t.Context(), store.Identity{AppID: app, OpenID: openID})
			c[0]++
		} else {
			_, err = users.FindOnReplica(t.Context(), app, openID)
		}
		if err != nil {
			t.Fatal(err)
		}
		if !known[openID] {
			known[openID] = true
			c[1]++
		}
		if v := (visit{day, openID}); !first[v] {
			first[v] = true
			c[2]++
		}
		want[day+app] = c
	}
	if err := second.WriteLoginDays(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := f.days()
	texts := map[string]string{}
	for key, c := range want {
		texts[key] = fmt.Sprintf("%d %d %d", c[0], c[1], c[2])
	}
	if !maps.Equal(got, texts) {
		t.Errorf("login_days %v\nwant %v", got, texts)
	}
}

// Servers of version 3 of the database, which write neither last_seen_at nor nickname_as_of, go on beside this one.
func TestUsers_PreviousServers(t *testing.T) {
	f := newShanghai(t)
	now := f.clock.now().Format("2006-01-02 15:04:05.000")
	f.exec("INSERT INTO users (unionid, status, created_at, updated_at, last_login_at) VALUES (NULL, 1, ?, ?, ?)", now, now, now)
	f.exec("INSERT INTO wechat_identities (appid, openid, user_id, created_at) VALUES (?, 'oAlice', 1, ?)", appA, now)
	f.exec("UPDATE users SET nickname = COALESCE('Alice', nickname), profile_source = COALESCE(1, profile_source), profile_as_of = ?, "+
		"profile_updated_at = ?, updated_at = ? WHERE id = 1 AND status = 1 AND profile_updated_at <=> NULL", now, now, now)
	find := func() {
		t.Helper()
		if user, err := f.users.Find(t.Context(), appA, "oAlice"); err != nil || user.NickName != "Alice" {
			t.Errorf("%+v, %v", user, err)
		}
	}
	find()
	if seen := f.user(1)["last_seen_at"]; seen != "NULL" {
		t.Errorf("seen %s within the hour of the login", seen)
	}
	f.clock.advance(2 * time.Hour) // the next day in Shanghai
	later := f.clock.now().Format("2006-01-02 15:04:05.000")
	f.exec("UPDATE users SET last_login_at = ? WHERE id = 1", later) // a login at a server of version 3, which has counted it
	find()
	f.wantDays(f.days(), map[string]string{})
	f.clock.advance(24 * time.Hour)
	find()
	f.wantDays(f.days(), map[string]string{"2025-03-16 " + appA: "0 0 1"})
	removal := store.Removal{NickName: true, AsOf: f.clock.now().Truncate(time.Second)}
	if user, err := f.users.Remove(t.Context(), appA, "oAlice", removal, byWeChat); err != nil || user.NickName != "" {
		t.Errorf("%+v, %v", user, err)
	}
}
