package docs_test

import (
	"database/sql"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"wxlogin/internal/testenv/mysqltest"
)

const adminQueries = "admin-queries.sql"

// adminQuery is a query of the file and the comment above it.
type adminQuery struct{ question, sql string }

// queriesOf parses a file of queries: comments, then a statement that ends at the end of a line.
func queriesOf(t *testing.T, file string) []adminQuery {
	t.Helper()
	var all []adminQuery
	var q adminQuery
	for line := range strings.Lines(read(t, file)) {
		comment, isComment := strings.CutPrefix(line, "--")
		switch {
		case q.sql == "" && isComment:
			q.question += comment
		case q.sql == "" && line == "\n":
			q.question = "" // it was a heading
		default:
			q.sql += line
		}
		if strings.HasSuffix(q.sql, ";\n") {
			q.question = strings.Join(strings.Fields(q.question), " ")
			all = append(all, q)
			q = adminQuery{}
		}
	}
	if q.sql != "" {
		t.Fatalf("%s ends within a statement: %s", file, q.sql)
	}
	return all
}

// Each query returns the right rows, with the rights of the account of the administrators.
func TestAdminQueries(t *testing.T) {
	dsn := mysqltest.NewWithSchema(t)
	p := newPast()
	people(t, openSQL(t, dsn), p)
	account := adminAccount(t, dsn)

	day, week := p.day, p.week
	want := []struct {
		question, columns string
		rows              []string
	}{
		{"Who signed up last?", "id", []string{"4", "7", "3", "2", "5", "1"}},
		{"Who has this openid?", "id|identities", []string{"2|wx1:oGZUI0egBJY1zhBYw2KhdUfwVJJE, wx2:oAliceIn2"}},
		{"Who has this unionid?", "id", []string{"2"}},
		{"Who has this nickname?", "id", []string{"2"}},
		{"Whose nickname begins with this?", "id", []string{"2", "3"}},
		{"In which mini-programs is this user", "appid|openid", []string{"wx1|oGZUI0egBJY1zhBYw2KhdUfwVJJE", "wx2|oAliceIn2"}},
		{"Who is blocked", "id", []string{"5"}},
		{"Which users turned out to be one person", "merged_id|survivor_id|nickname|appid", []string{"6|2|Alice|wx2"}},
		{"What became of this user?", "merged_id|survivor_id", []string{"6|2"}},
		{"Who uses several mini-programs?", "id", []string{"2"}},
		{"Who has not been seen for 30 days", "id", []string{"1"}},
		{"Who is anonymous so far", "id|identities", []string{"4|wx2:oNew"}},
		{"How many people signed up on each day?", "day|sign_ups", []string{day(0) + "|1", day(14) + "|2"}},
		{"… and through which mini-program?", "day|appid|sign_ups",
			[]string{day(0) + "|wx2|1", day(14) + "|wx1|1", day(14) + "|wx2|1"}},
		{"How many logins were there on each day", "day|logins|new_users|active_users",
			[]string{day(0) + "|8|1|2", day(7) + "|2|0|1", day(14) + "|6|3|3"}},
		{"… by mini-program?", "day|appid|logins|new_users|active_users", []string{
			day(0) + "|wx1|5|0|1", day(0) + "|wx2|3|1|1", day(7) + "|wx1|2|0|1", day(14) + "|wx1|4|1|1", day(14) + "|wx2|2|2|2"}},
		{"… by week", "week|logins|new_users|visits",
			[]string{week(0) + "|8|1|2", week(7) + "|2|0|1", week(14) + "|6|3|3", week(35) + "|6|1|2", week(70) + "|2|2|2"}},
		{"… by month?", "month|logins|new_users|visits", months(p)},
		{"How many profiles were completed", "day|completed", []string{day(7) + "|1", day(14) + "|1"}},
		{"How many of those who signed up on each day", "day|sign_ups|completed|percent",
			[]string{day(0) + "|1|0|0.0", day(14) + "|2|1|50.0"}},
		{"How many of those who signed up in each week", "week|sign_ups|day_1|day_7|day_30",
			[]string{week(0) + "|1|0|0|0", week(14) + "|2|1|1|0", week(35) + "|1|1|1|1", week(70) + "|2|1|1|1"}},
		{"How many people were seen", "hours_24|days_7|days_30", []string{"2|2|4"}},
		{"How has the number of users grown?", "day|sign_ups|users",
			[]string{day(70) + "|2|2", day(35) + "|1|3", day(14) + "|2|5", day(0) + "|1|6"}},
		{"How many users are there of each status?", "status|users", []string{"active|5", "disabled|1", "merged|1"}},
		{"How many have given a nickname", "profile_source|profile_complete|people",
			[]string{"none|no|1", "person|no|1", "person|yes|1", "wechat|yes|3"}},
		{"How many have bound a phone number?", "phone_bound|people", []string{"no|4", "yes|2"}},
		{"… of which countries?", "phone_country_code|people", []string{"852|1", "86|1"}},
		{"Are the tables consistent?", "fault", nil},
	}
	queries := queriesOf(t, adminQueries)
	if len(queries) != len(want) {
		t.Fatalf("%d queries, want %d", len(queries), len(want))
	}
	for _, mode := range []string{"CONCAT(@@sql_mode, ',ONLY_FULL_GROUP_BY')", "'ANSI'"} { // MySQL's default, which is not MariaDB's
		admin := openSQL(t, account)
		admin.SetMaxOpenConns(1)
		run(t, admin, "SET sql_mode = "+mode)
		for i, q := range queries {
			t.Run(fmt.Sprintf("%d, sql_mode %s", i, mode), func(t *testing.T) {
				if !strings.HasPrefix(q.question, want[i].question) {
					t.Fatalf("it asks %q, want %q", q.question, want[i].question)
				}
				if got := table(t, admin, q.sql, want[i].columns); !slices.Equal(got, want[i].rows) {
					t.Errorf("%s\n%s\n got %q\nwant %q", q.question, q.sql, got, want[i].rows)
				}
			})
		}
	}
}

// The last query finds every inconsistency between the tables.
func TestAdminQueries_Inconsistencies(t *testing.T) {
	dsn := mysqltest.NewWithSchema(t)
	db := openSQL(t, dsn)
	people(t, db, newPast())
	admin := openSQL(t, adminAccount(t, dsn))
	queries := queriesOf(t, adminQueries)
	run(t, db, "DELETE FROM users WHERE id = 1", "DELETE FROM wechat_identities WHERE openid = 'oFrank'",
		"UPDATE wechat_identities SET user_id = 6 WHERE openid = 'oNew'", "UPDATE users SET merged_into = 4711 WHERE id = 6",
		"UPDATE user_merges SET survivor_id = 4712")
	got := table(t, admin, queries[len(queries)-1].sql, "fault|user_id")
	slices.Sort(got)
	want := []string{"identity of a merged user|6", "identity without user|1", "merge that users does not show|6",
		"merged into nobody|6", "user without identity|4", "user without identity|7"}
	if !slices.Equal(got, want) {
		t.Errorf("found %q\nwant %q", got, want)
	}
}

// The queries that read everything are those that say so, by the counters of a real server. The embedded engine has none.
func TestAdminQueries_RowsRead(t *testing.T) {
	if os.Getenv("TEST_MYSQL_DSN") == "" {
		t.Skip("NOTICE: without TEST_MYSQL_DSN it is not measured how much the queries read")
	}
	const n = 20_000
	db := openSQL(t, mysqltest.NewWithSchema(t))
	db.SetMaxOpenConns(1) // it counts by connection
	crowd(t, db, n, newPast())
	for _, q := range queriesOf(t, adminQueries) {
		rows := rowsRead(t, db, q.sql)
		if got, want := rows > n/2, strings.Contains(q.question, "Reads everything."); got != want {
			t.Errorf("%d rows of %d read, and reading everything it says %v: %s", rows, n, want, q.question)
		}
	}
}

// A lookup by openid, unionid, nickname or id uses an index.
func TestAdminQueries_Index(t *testing.T) {
	if os.Getenv("TEST_MYSQL_DSN") == "" {
		t.Skip("NOTICE: without TEST_MYSQL_DSN the plans of the queries are not checked")
	}
	db := openSQL(t, mysqltest.NewWithSchema(t))
	crowd(t, db, 2000, newPast())
	for _, q := range queriesOf(t, adminQueries)[1:6] { // openid, unionid, nickname twice, id
		for _, access := range column(t, db, "EXPLAIN FORMAT=TRADITIONAL "+q.sql, "type") {
			if access == "ALL" || access == "index" {
				t.Errorf("%s reads a table by %s", q.question, access)
			}
		}
	}
}

// rowsRead returns how many rows the server reads for a query.
func rowsRead(t *testing.T, db *sql.DB, query string) (n int) {
	t.Helper()
	const counters = "SHOW SESSION STATUS LIKE 'Handler\\_read\\_%'"
	read := func() (sum int) {
		for _, value := range column(t, db, counters, "Value") {
			var count int
			fmt.Sscan(value, &count)
			sum += count
		}
		return sum
	}
	before := read()
	run(t, db, query)
	return read() - before
}
