package store_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"wxlogin"
	"wxlogin/store"
)

func TestSchema(t *testing.T) {
	t.Run("names no database", func(t *testing.T) {
		if regexp.MustCompile(`(?im)^\s*(USE|CREATE DATABASE)\b`).MatchString(wxlogin.Schema) {
			t.Error("schema.sql chooses a database")
		}
	})

	// The comments are read from where administrators see them.
	t.Run("is commented", func(t *testing.T) {
		f := newFixture(t)
		if got := len(regexp.MustCompile(`\) ENGINE=.* COMMENT='[^']+';`).FindAllString(wxlogin.Schema, -1)); got != 8 {
			t.Errorf("%d tables with a comment, want 8", got)
		}
		for _, table := range []string{"users", "wechat_identities", "user_merges", "login_days", "schema_versions", "user_changes",
			"user_change_counter", "pending_deletions"} {
			columns := f.rows("SELECT column_name AS n, column_comment AS c FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = ?", table)
			if len(columns) < 4 && table != "user_change_counter" {
				t.Errorf("%s: %d columns", table, len(columns))
			}
			for _, column := range columns {
				if column["c"] == "" {
					t.Errorf("%s.%s has no comment", table, column["n"])
				}
			}
			if !realServer {
				continue // the embedded engine loses the comments of tables, but schema.sql has them
			}
			if got := f.row("SELECT table_comment AS c FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?", table)["c"]; got == "" {
				t.Errorf("%s has no comment", table)
			}
		}
	})
}

func TestSchema_Views(t *testing.T) {
	t.Run("values", func(t *testing.T) {
		f := newFixture(t)
		alice, _ := f.login(appB, "oAliceInB", "uAlice")
		f.login(appA, "oAliceInA", "uAlice")
		f.update(appA, "oAliceInA", store.Profile{
			NickName: "Alice😀", AvatarURL: "https://a/1", Gender: 2, Country: "China", City: "Guangzhou", Language: "zh_CN",
		})
		bob, _ := f.login(appA, "oBob", "")
		f.update(appA, "oBob", store.Profile{NickName: "Bob", Gender: 1, Source: store.SourceUser})
		f.exec("UPDATE users SET phone_country_code = '86', phone_number = '1', phone_bound_at = created_at WHERE id = ?", bob.ID)
		f.exec("UPDATE users SET status = 2 WHERE id = ?", bob.ID)
		carol, _ := f.login(appA, "oCarol", "")
		f.login(appB, "oCarolInB", "uCarol")
		f.login(appA, "oCarol", "uCarol")

		const now = "2025-03-14 15:09:26.535"
		for id, want := range map[uint64]map[string]string{
			alice.ID: {
				"identities": appA + ":oAliceInA, " + appB + ":oAliceInB", "unionid": "uAlice", "nickname": "Alice😀",
				"avatar_url": "https://a/1", "gender": "female", "place": "Guangzhou, China", "language": "zh_CN",
				"status": "active", "merged_into": "NULL", "profile_complete": "yes",
				"profile_source": "wechat", "phone_bound": "no", "phone_country_code": "NULL", "phone_bound_at": "NULL",
				"profile_as_of": now, "profile_updated_at": now, "created_at": now, "updated_at": now, "last_login_at": now,
			},
			bob.ID: {
				"identities": appA + ":oBob", "unionid": "NULL", "nickname": "Bob", "gender": "male", "place": "",
				"status": "disabled", "profile_complete": "no", "profile_source": "person", "phone_bound": "yes",
				"phone_country_code": "86", "phone_bound_at": now,
			},
			carol.ID + 1: {
				"identities": "NULL", "gender": "unknown", "status": "merged", "merged_into": fmt.Sprint(carol.ID),
				"profile_complete": "no", "profile_source": "none", "profile_as_of": "NULL", "profile_updated_at": "NULL",
			},
		} {
			row := f.row("SELECT * FROM user_profiles WHERE id = ?", id)
			for column, value := range want {
				if row[column] != value {
					t.Errorf("user %d: %s is %q, want %q", id, column, row[column], value)
				}
			}
		}
		for _, condition := range []string{"gender = 'male'", "status = 'disabled'", "profile_complete = 'no' AND gender = 'male'",
			"profile_source = 'person'", "phone_bound = 'yes'"} {
			if got := f.row("SELECT id FROM user_profiles WHERE " + condition)["id"]; got != fmt.Sprint(bob.ID) {
				t.Errorf("%s finds %s, want %d", condition, got, bob.ID)
			}
		}
	})

	t.Run("blocked users have the reason of the last block", func(t *testing.T) {
		f := newFixture(t)
		alice, _ := f.login(appA, "oAlice", "")
		bob, _ := f.login(appA, "oBob", "")
		f.login(appA, "oCarol", "")
		set := func(id uint64, status store.Status, reason string) {
			t.Helper()
			if _, _, err := f.users.SetStatus(t.Context(), id, status, store.Cause{Reason: reason, Actor: "li"}); err != nil {
				t.Fatal(err)
			}
		}
		for _, id := range []uint64{alice.ID, bob.ID} {
			set(id, store.StatusDisabled, "a test")
			set(id, store.StatusActive, "the test is over")
		}
		set(alice.ID, store.StatusDisabled, "spam")
		f.exec("UPDATE users SET status = 2, updated_at = '2025-04-01' WHERE id = ?", bob.ID)
		var got []string
		for _, row := range f.rows("SELECT * FROM blocked_users ORDER BY id") {
			got = append(got, row["id"]+" "+strings.TrimSuffix(row["blocked_at"], ".000")+" "+row["reason"]+" "+row["actor"])
		}
		want := []string{
			fmt.Sprintf("%d 2025-03-14 15:09:26.535 spam li", alice.ID),
			fmt.Sprintf("%d 2025-04-01 00:00:00 NULL NULL", bob.ID),
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q\nwant %q", got, want)
		}
	})

	t.Run("last_seen_at is no earlier than last_login_at", func(t *testing.T) {
		f := newFixture(t)
		alice, _ := f.login(appA, "oAlice", "")
		for seen, want := range map[string]string{"NULL": "2025-03-14", "'2025-03-13'": "2025-03-14", "'2025-03-15'": "2025-03-15"} {
			f.exec("UPDATE users SET last_login_at = '2025-03-14', last_seen_at = " + seen + " WHERE id = " + fmt.Sprint(alice.ID))
			for _, view := range []string{"user_profiles", "user_list"} {
				if got := f.row("SELECT * FROM " + view)["last_seen_at"]; !strings.HasPrefix(got, want) {
					t.Errorf("%s with last_seen_at %s: %s, want %s", view, seen, got, want)
				}
			}
		}
	})

	// No view has a phone number, under any name.
	t.Run("no phone number", func(t *testing.T) {
		f := newFixture(t)
		f.login(appA, "oAlice", "uAlice")
		f.login(appB, "oAliceInB", "")
		const number = "13800001234"
		f.exec("UPDATE users SET phone_country_code = '86', phone_number = ?, phone_bound_at = created_at", number)
		f.login(appB, "oAliceInB", "uAlice")
		blocked, _ := f.login(appC, "oBob", "")
		if _, _, err := f.users.SetStatus(t.Context(), blocked.ID, store.StatusDisabled, byAdmin); err != nil {
			t.Fatal(err)
		}
		if err := f.db.WriteLoginDays(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.exec("UPDATE users SET status = 2 WHERE status = 1")
		for view, columns := range map[string]int{"user_profiles": 22, "user_identities": 4, "merged_users": 6, "daily_logins": 6,
			"user_history": 8, "user_list": 8, "blocked_users": 5} {
			rows := f.rows("SELECT * FROM " + view)
			if len(rows) == 0 || len(rows[0]) != columns {
				t.Errorf("%s has %d rows, want columns: %d", view, len(rows), columns)
			}
			if text := fmt.Sprint(rows); strings.Contains(text, number[:3]) || strings.Contains(text, number[7:]) {
				t.Errorf("%s shows a part of the number: %s", view, text)
			}
		}
	})
}

var orphanQuery = regexp.MustCompile(`(?s)-- Orphans\.[^\n]*\n(.*;)`)

// orphans runs the query that schema.sql documents.
func (f *fixture) orphans() []map[string]string {
	f.t.Helper()
	match := orphanQuery.FindStringSubmatch(wxlogin.Schema)
	if match == nil {
		f.t.Fatal("schema.sql documents no orphan query")
	}
	return f.rows(strings.TrimSuffix(strings.ReplaceAll(match[1], "--", ""), ";"))
}

func (f *fixture) wantNoOrphans() {
	f.t.Helper()
	if found := f.orphans(); len(found) != 0 {
		f.t.Errorf("orphans: %v", found)
	}
}

func TestSchema_OrphanQuery(t *testing.T) {
	f := newFixture(t)
	f.login(appA, "oAlice", "uAlice")
	f.login(appB, "oAlice", "uAlice")
	f.wantNoOrphans()

	f.exec("INSERT INTO wechat_identities (appid, openid, user_id, created_at) VALUES (?, 'oGhost', 4711, '2025-01-01')", appA)
	lonely, _ := f.login(appA, "oLonely", "")
	f.exec("DELETE FROM wechat_identities WHERE openid = 'oLonely'")
	merged, _ := f.login(appA, "oMerged", "")
	f.exec("UPDATE users SET status = 3, merged_into = 4712 WHERE id = ?", merged.ID)
	f.exec("INSERT INTO user_merges (survivor_id, merged_id, merged_at) VALUES (4713, ?, '2025-01-01')", merged.ID)
	var got []string
	for _, row := range f.orphans() {
		got = append(got, row["fault"]+" "+row["openid"]+" "+row["user_id"])
	}
	slices.Sort(got)
	want := []string{
		"identity of a merged user oMerged " + fmt.Sprint(merged.ID),
		"identity without user oGhost 4711",
		"merge that users does not show NULL " + fmt.Sprint(merged.ID),
		"merged into nobody NULL " + fmt.Sprint(merged.ID),
		"user without identity NULL " + fmt.Sprint(lonely.ID),
	}
	if !slices.Equal(got, want) {
		t.Errorf("found %q\nwant %q", got, want)
	}
}

// TestUsers_LoginIndex checks the plan for a returning user. The embedded engine has its own format for plans: there
// the plan must at least have index lookups and no table scan.
func TestUsers_LoginIndex(t *testing.T) {
	f := newFixture(t)
	f.login(appA, "oAlice", "uAlice")
	f.wire.reset()
	f.login(appA, "oAlice", "uAlice")
	sent := f.wire.statements()[0]
	query := "EXPLAIN FORMAT=TRADITIONAL " + sent.sql
	if !realServer {
		query = "EXPLAIN FORMAT=TREE " + sent.sql
	}
	for _, arg := range sent.args { // the embedded engine's EXPLAIN takes no parameters
		query = strings.Replace(query, "?", fmt.Sprintf("'%s'", arg.Value), 1)
	}
	plan := f.rows(query)
	if !realServer {
		text := fmt.Sprint(plan)
		if !strings.Contains(text, "IndexedTableAccess") || strings.Contains(text, "TableScan") {
			t.Errorf("plan %v", plan)
		}
		return
	}
	if len(plan) != 2 {
		t.Fatalf("plan %v", plan)
	}
	for _, step := range plan {
		if step["key"] != "PRIMARY" || step["rows"] != "1" || !slices.Contains([]string{"const", "eq_ref"}, step["type"]) {
			t.Errorf("step %v", step)
		}
	}
}

// TestAdminQueries runs the documented queries for administrators.
func TestAdminQueries(t *testing.T) {
	f := newFixture(t)
	f.clock.advance(time.Since(f.clock.now())) // the queries compare with the server's clock
	f.clock.advance(-40 * 24 * time.Hour)
	f.login(appA, "oInactive", "")
	f.clock.advance(39 * 24 * time.Hour)
	f.login(appA, "oAlice", "")
	f.update(appA, "oAlice", store.Profile{NickName: "Alice😀", AvatarURL: "https://a/1"})
	f.login(appA, "oBob", "")
	type search struct {
		name, query string
		column      string
		want        []string
	}
	searches := []search{
		{"newest_users", "SELECT * FROM user_profiles WHERE status <> 'merged' ORDER BY created_at DESC, id DESC LIMIT 2",
			"id", []string{"3", "2"}},
		{"daily_sign-ups", "SELECT DATE(created_at) AS day, COUNT(*) AS sign_ups FROM user_profiles " +
			"WHERE status <> 'merged' AND created_at >= UTC_TIMESTAMP() - INTERVAL 30 DAY GROUP BY DATE(created_at) ORDER BY day DESC",
			"sign_ups", []string{"2"}},
		{"profiles_completed", "SELECT DATE(profile_updated_at) AS day, COUNT(*) AS completed FROM user_profiles " +
			"WHERE profile_complete = 'yes' AND status <> 'merged' AND profile_updated_at >= UTC_TIMESTAMP() - INTERVAL 30 DAY " +
			"GROUP BY DATE(profile_updated_at) ORDER BY day DESC",
			"completed", []string{"1"}},
		{"by openid", "SELECT p.* FROM user_identities i JOIN user_profiles p ON p.id = i.user_id WHERE i.openid = 'oBob'",
			"id", []string{"3"}},
		{"by nickname", "SELECT * FROM user_profiles WHERE nickname = 'alice😀'", "id", []string{"2"}},
		{"by another nickname", "SELECT * FROM user_profiles WHERE nickname = 'alice😁'", "id", nil},
		{"by a part of the nickname", "SELECT * FROM user_profiles WHERE nickname LIKE '%lice%'", "id", []string{"2"}},
		{"inactive_for_30_days", "SELECT id, nickname, identities, last_login_at FROM user_profiles " +
			"WHERE status = 'active' AND last_login_at < UTC_TIMESTAMP() - INTERVAL 30 DAY ORDER BY last_login_at LIMIT 100",
			"id", []string{"1"}},
	}
	if realServer { // the embedded engine does not find an emoji after a prefix
		searches = append(searches, search{"by the beginning of the nickname",
			"SELECT * FROM user_profiles WHERE nickname LIKE 'alice%'", "id", []string{"2"}})
	}
	for _, tt := range searches {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, row := range f.rows(tt.query) {
				got = append(got, row[tt.column])
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
