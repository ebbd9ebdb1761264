package store_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"wxlogin/store"
)

// TestUsers_RoundTrips counts the statements of each call: each is one round trip.
func TestUsers_RoundTrips(t *testing.T) {
	for _, tt := range []struct {
		name string
		call func(f *fixture)
		want []string
	}{
		{"returning", func(f *fixture) { f.login(appA, "oAlice", "uAlice") }, []string{"SELECT"}},
		{"returning after the hour", func(f *fixture) {
			f.clock.advance(time.Hour)
			f.login(appA, "oAlice", "uAlice")
		}, []string{"SELECT", "UPDATE"}},
		{"new", func(f *fixture) { f.login(appA, "oBob", "") }, []string{"SELECT", "BEGIN", "INSERT", "INSERT", "COMMIT"}},
		{"new with unionid", func(f *fixture) { f.login(appA, "oBob", "uBob") },
			[]string{"SELECT", "SELECT", "BEGIN", "INSERT", "INSERT", "COMMIT"}},
		{"known in another app", func(f *fixture) { f.login(appB, "oAliceInB", "uAlice") },
			[]string{"SELECT", "SELECT", "BEGIN", "SELECT", "INSERT", "COMMIT"}},
		{"find", func(f *fixture) { f.users.Find(t.Context(), appA, "oAlice") }, []string{"SELECT"}},
		{"find unknown", func(f *fixture) { f.users.Find(t.Context(), appA, "oUnknown") }, []string{"SELECT"}},
		{"update unchanged", func(f *fixture) { f.update(appA, "oAlice", store.Profile{NickName: "Alice"}) }, []string{"SELECT"}},
		{"update changed", func(f *fixture) { f.update(appA, "oAlice", store.Profile{NickName: "Alicia"}) },
			[]string{"SELECT", "UPDATE"}},
		{"phone unchanged", func(f *fixture) { f.bind(appA, "oAlice", firstPhone) }, []string{"SELECT"}},
		{"phone changed", func(f *fixture) { f.bind(appA, "oAlice", secondPhone) }, []string{"SELECT", "UPDATE"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			f.warmUp()
			f.wire.reset()
			tt.call(f)
			f.wire.wantVerbs(t, tt.want...)
			f.wire.wantNothingPrepared(t)
		})
	}
}

// warmUp creates Alice and lets the connection prepare its statements.
func (f *fixture) warmUp() {
	f.t.Helper()
	f.login(appA, "oAlice", "uAlice")
	f.clock.advance(time.Hour)
	f.login(appA, "oAlice", "uAlice")
	f.update(appA, "oAlice", store.Profile{NickName: "Alice"})
	f.bind(appA, "oAlice", firstPhone)
}

// TestStatements_UseIndexes checks the query plan of every statement that this package sends, those of GORM included,
// among thousands of rows. It also fails if a hot statement is not sent here: add a call that sends it to sendAll.
func TestStatements_UseIndexes(t *testing.T) {
	if !realServer {
		t.Skip("the embedded engine has a planner of its own; TestUsers_Login_reads_by_index asks it")
	}
	f := newFixture(t)
	f.fill(4000)
	f.wire.reset()
	f.sendAll(t)

	sent := map[string]statement{}
	for _, s := range f.wire.statements() {
		sent[s.sql] = s
	}
	for _, text := range store.HotStatements() {
		if _, ok := sent[text]; !ok {
			t.Errorf("nothing here sends %q", text)
		}
	}
	for text, s := range sent {
		switch verb, _, _ := strings.Cut(text, " "); verb {
		case "BEGIN", "COMMIT", "ROLLBACK":
		case "INSERT":
			f.wantNothingLookedUp(t, s)
		default:
			f.wantByIndex(t, s)
		}
	}
}

// fill creates users with an identity each, and updates the server's statistics.
func (f *fixture) fill(people int) {
	f.t.Helper()
	values := func(row string) string {
		rows := make([]string, people)
		for i := range rows {
			rows[i] = strings.ReplaceAll(row, "#", strconv.Itoa(i+1))
		}
		return strings.Join(rows, ", ")
	}
	f.exec("INSERT INTO users (id, unionid, phone_country_code, phone_number, created_at, updated_at, last_login_at) VALUES " +
		values("(#, 'uFilled#', '86', '1380000#', '2020-01-01', '2020-01-01', '2020-01-01')"))
	f.exec("INSERT INTO wechat_identities (appid, openid, user_id, created_at) VALUES " +
		values("('"+appA+"', 'oFilled#', #, NOW())"))
	f.exec("INSERT INTO user_merges (survivor_id, merged_id, merged_at) VALUES " + values("(#, #, NOW())"))
	f.exec("INSERT INTO login_days (day, appid, logins, new_users, active_users) VALUES " +
		values("('2020-01-01' + INTERVAL # DAY, '"+appA+"', 1, 1, 1)"))
	f.rows("ANALYZE TABLE users, wechat_identities, user_merges, login_days")
}

// sendAll makes all calls of the hot path and the rare ones.
func (f *fixture) sendAll(t *testing.T) {
	f.login(appA, "oAlice", "uAlice")
	f.clock.advance(time.Hour)
	f.login(appA, "oAlice", "uAlice")
	f.login(appB, "oAliceInB", "uAlice") // links
	f.login(appC, "oAliceInC", "")
	f.update(appC, "oAliceInC", store.Profile{NickName: "Alice"})
	f.exec("UPDATE users SET profile_as_of = '2099-01-01' WHERE nickname = 'Alice'")
	f.update(appC, "oAliceInC", store.Profile{NickName: "Alice"}) // heals
	f.bind(appC, "oAliceInC", firstPhone)
	f.login(appC, "oAliceInC", "uAlice") // merges
	f.login(appA, "oBob", "")
	f.login(appA, "oBob", "uBob")
	f.login(appA, "oLost", "")
	f.exec("DELETE u FROM users u JOIN wechat_identities i ON i.user_id = u.id WHERE i.openid = 'oLost'")
	f.login(appA, "oLost", "")
	var openIDs []string
	var ids []uint64
	for i := range 2 + 16 {
		ids, openIDs = append(ids, uint64(100*i+1)), append(openIDs, fmt.Sprintf("oFilled%d", 100*i+1))
	}
	for _, users := range [][2]int{{0, 2}, {2, 2 + 16}} {
		from, to := users[0], users[1]
		find := f.db.FindMany(t.Context(), appA, openIDs[from:to]...)
		write := f.db.WriteMany(t.Context(), "Alice", ids[from:to]...)
		if find != nil || write != nil {
			t.Fatal(find, write)
		}
	}
	for n := range 16 {
		var newcomers []store.Identity
		for i := range n + 1 {
			newcomers = append(newcomers, store.Identity{AppID: appB, OpenID: fmt.Sprintf("oNewcomer%d_%d", n, i)})
		}
		if err := f.db.CreateMany(t.Context(), newcomers...); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.db.WriteLoginDays(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// explain returns the plan of a statement, with the values that it was sent with.
func (f *fixture) explain(s statement) []map[string]string {
	f.t.Helper()
	args := make([]any, len(s.args))
	for i, arg := range s.args {
		args[i] = arg.Value
	}
	return f.rows("EXPLAIN FORMAT=TRADITIONAL "+s.sql, args...)
}

// wantByIndex checks that each step of a plan reads a few rows, by a key.
func (f *fixture) wantByIndex(t *testing.T, s statement) {
	t.Helper()
	const few = 16 // the rows of the largest batch
	plan := f.explain(s)
	if len(plan) == 0 {
		t.Errorf("no plan for %s", s.sql)
	}
	for _, step := range plan {
		if step["Extra"] == "Impossible WHERE noticed after reading const tables" {
			continue // by a unique key, which the server has looked up already
		}
		rows, err := strconv.Atoi(step["rows"])
		if err != nil || rows > few || step["key"] == "NULL" ||
			!slices.Contains([]string{"const", "eq_ref", "ref", "range"}, step["type"]) {
			t.Errorf("%s: %v", s.sql, step)
		}
	}
}

// wantNothingLookedUp checks that an INSERT reads no table.
func (f *fixture) wantNothingLookedUp(t *testing.T, s statement) {
	t.Helper()
	plan := f.explain(s)
	if len(plan) != 1 || plan[0]["select_type"] != "INSERT" || plan[0]["rows"] != "NULL" {
		t.Errorf("%s: %v", s.sql, plan)
	}
}
