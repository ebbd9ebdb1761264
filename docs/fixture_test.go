// Package docs_test runs the queries and statements of these documents.
package docs_test

import (
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// needs skips a test on a machine without one of these programs.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("NOTICE: %s is not on this machine, so this was not run", p)
		}
	}
}

// openSQL opens a database with several statements per call and times as text.
func openSQL(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	config.MultiStatements, config.ParseTime = true, false
	connector, err := mysql.NewConnector(config)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() { db.Close() })
	return db
}

func run(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// column runs a query and returns one of its columns.
func column(t *testing.T, db *sql.DB, query, name string) []string {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatalf("%s%v", query, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.Index(columns, name)
	if i < 0 {
		t.Fatalf("%sit has no column %s", query, name)
	}
	var values []string
	for rows.Next() {
		row := make([]sql.NullString, len(columns))
		targets := make([]any, len(columns))
		for j := range row {
			targets[j] = &row[j]
		}
		if err := rows.Scan(targets...); err != nil {
			t.Fatal(err)
		}
		values = append(values, row[i].String)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return values
}

// chinaTime is the zone of days in docs/admin-queries.sql, unless it is told another one.
var chinaTime = time.FixedZone("UTC+8", 8*60*60)

// past is the present, from which it counts days back.
type past time.Time

func (p past) at(days int) string {
	return "'" + time.Time(p).AddDate(0, 0, -days).Format("2006-01-02 15:04:05.000") + "'"
}

// day returns the day in chinaTime.
func (p past) day(days int) string {
	return time.Time(p).In(chinaTime).AddDate(0, 0, -days).Format(time.DateOnly)
}

// week returns the Monday of that week.
func (p past) week(days int) string {
	weekday := (int(time.Time(p).In(chinaTime).Weekday()) + 6) % 7
	return p.day(days + weekday)
}

// newPast leaves a minute, because MySQL's clock has whole seconds.
func newPast() past { return past(time.Now().UTC().Add(-time.Minute)) }

// people inserts eight users: dave and eve (blocked), 70 days old; alice, 35 days, in two mini-programs since zoe, 14 days,
// was merged into her; alina and frank, 14 days, and one of that age who was erased; and a new one without a name. alina
// logged in once, and has been seen since.
func people(t *testing.T, db *sql.DB, p past) {
	t.Helper()
	const columns = "INSERT INTO users (id, unionid, status, merged_into, nickname, avatar_url, profile_source, " +
		"profile_updated_at, phone_country_code, phone_number, created_at, last_login_at, updated_at, last_seen_at) VALUES "
	user := func(fixed string, created, login int, seen string) string {
		return fmt.Sprintf("%s(%s, %s, %s, %[3]s, %[5]s)", columns, fixed, p.at(created), p.at(login), seen)
	}
	run(t, db,
		user("1, NULL, 1, NULL, 'dave', 'https://a/1', 1, "+p.at(70)+", '852', '51234567'", 70, 70, "NULL"),
		user("2, 'o6_bmasdasdsad6_2sgVt7hMZOPfL', 1, NULL, 'Alice', 'https://a/2', 1, "+p.at(14)+", NULL, NULL", 35, 0, p.at(7)),
		user("3, NULL, 1, NULL, 'Alina', '', 2, "+p.at(7)+", '86', '13800001234'", 14, 14, p.at(7)),
		user("4, NULL, 1, NULL, '', '', 0, NULL, NULL, NULL", 0, 0, p.at(0)),
		user("5, NULL, 2, NULL, 'eve', 'https://a/5', 1, "+p.at(35)+", NULL, NULL", 70, 35, "NULL"),
		user("6, NULL, 3, 2, 'zoe', 'https://a/6', 1, "+p.at(7)+", '86', '13900004321'", 14, 14, "NULL"),
		user("7, NULL, 1, NULL, 'frank', 'https://a/7', 2, "+p.at(7)+", NULL, NULL", 14, 14, "NULL"),
		user("8, NULL, 4, NULL, '', '', 0, NULL, NULL, NULL", 14, 14, "NULL"),
		"INSERT INTO wechat_identities (appid, openid, user_id, created_at) VALUES ('wx1', 'oDave', 1, "+p.at(70)+"), "+
			"('wx1', 'oGZUI0egBJY1zhBYw2KhdUfwVJJE', 2, "+p.at(35)+"), ('wx2', 'oAliceIn2', 2, "+p.at(14)+"), "+
			"('wx1', 'oAlina', 3, "+p.at(14)+"), ('wx2', 'oNew', 4, "+p.at(0)+"), ('wx1', 'oEve', 5, "+p.at(70)+"), "+
			"('wx2', 'oFrank', 7, "+p.at(14)+")",
		"INSERT INTO user_merges (survivor_id, merged_id, unionid, appid, merged_at) "+
			"VALUES (2, 6, 'o6_bmasdasdsad6_2sgVt7hMZOPfL', 'wx2', "+p.at(7)+")",
		"INSERT INTO login_days (time_zone, day, appid, logins, new_users, active_users) VALUES "+
			fmt.Sprintf("(%s'%s', 'wx1', 5, 0, 1), (%[1]s'%[2]s', 'wx2', 3, 1, 1), (%[1]s'%[3]s', 'wx1', 2, 0, 1), "+
				"(%[1]s'%[4]s', 'wx1', 4, 1, 1), (%[1]s'%[4]s', 'wx2', 2, 2, 2), (%[1]s'%[5]s', 'wx1', 6, 1, 2), (%[1]s'%[6]s', 'wx1', 2, 2, 2)",
				"'Asia/Shanghai', ", p.day(0), p.day(7), p.day(14), p.day(35), p.day(70)),
		"INSERT INTO user_changes (seq, kind, user_id, survivor_id, reason, actor, note, changed_at) VALUES "+
			"(1, 'disabled', 5, NULL, 'test', 'carol', NULL, "+p.at(70)+"), (2, 'enabled', 5, NULL, NULL, 'carol', NULL, "+p.at(69)+"), "+
			"(3, 'disabled', 5, NULL, 'spam', 'dora', NULL, "+p.at(35)+"), "+
			"(4, 'profile_removed', 4, NULL, 'person', NULL, 'avatar', "+p.at(14)+"), "+
			"(5, 'phone_removed', 4, NULL, 'person', NULL, NULL, "+p.at(14)+"), (6, 'merged', 6, 2, NULL, NULL, NULL, "+p.at(7)+"), "+
			"(7, 'erased', 8, NULL, 'wechat', NULL, NULL, "+p.at(7)+")",
	)
}

// months returns the totals of login_days by month.
func months(p past) []string {
	sums := map[string][3]int{}
	for days, counts := range map[int][3]int{0: {8, 1, 2}, 7: {2, 0, 1}, 14: {6, 3, 3}, 35: {6, 1, 2}, 70: {2, 2, 2}} {
		month := p.day(days)[:7]
		sum := sums[month]
		for i := range sum {
			sum[i] += counts[i]
		}
		sums[month] = sum
	}
	var rows []string
	for month, sum := range sums {
		rows = append(rows, fmt.Sprintf("%s|%d|%d|%d", month, sum[0], sum[1], sum[2]))
	}
	slices.Sort(rows)
	slices.Reverse(rows)
	return rows
}

// table runs a query and returns some of its columns, joined by |.
func table(t *testing.T, db *sql.DB, query, columns string) []string {
	t.Helper()
	var rows []string
	for i, name := range strings.Split(columns, "|") {
		for j, value := range column(t, db, query, name) {
			if i == 0 {
				rows = append(rows, value)
			} else {
				rows[j] += "|" + value
			}
		}
	}
	return rows
}

// crowd inserts n users, created evenly over 2000 days, every tenth without a name, a merge and a change of each, and the
// login counts of these days.
func crowd(t *testing.T, db *sql.DB, n int, p past) {
	t.Helper()
	const batch = 1000
	for from := 1; from <= n; from += batch {
		var users, identities []string
		for id := from; id < from+batch; id++ {
			at, name := p.at(2000*id/n), "''"
			if id%10 != 0 {
				name = fmt.Sprintf("'nick%d'", id)
			}
			users = append(users, fmt.Sprintf("(%[1]d, 'u%[1]d', %[2]d, %[3]s, %[4]s, %[4]s, %[4]s, %[4]s)", id, 1+id/10%2, name, at))
			identities = append(identities, fmt.Sprintf("('wx1', 'o%d', %[1]d, %s)", id, at))
		}
		run(t, db, "INSERT INTO users (id, unionid, status, nickname, profile_updated_at, created_at, updated_at, last_login_at) "+
			"VALUES "+strings.Join(users, ","),
			"INSERT INTO wechat_identities (appid, openid, user_id, created_at) VALUES "+strings.Join(identities, ","),
			fmt.Sprintf("INSERT INTO user_merges (survivor_id, merged_id, merged_at) SELECT id, id + 1, created_at FROM users "+
				"WHERE id BETWEEN %d AND %d", from, from+batch-1),
			fmt.Sprintf("INSERT INTO user_changes (seq, kind, user_id, changed_at) SELECT id, "+
				"ELT(1 + id %% 3, 'erased', 'disabled', 'phone_removed'), id, created_at FROM users WHERE id BETWEEN %d AND %d",
				from, from+batch-1))
	}
	var days []string
	for d := range n {
		days = append(days, fmt.Sprintf("('%s', 'wx%d', 1, 1, 1)", p.day(d/10), d%10))
	}
	run(t, db, "INSERT INTO login_days (day, appid, logins, new_users, active_users) VALUES "+strings.Join(days, ","),
		"ANALYZE TABLE users, wechat_identities, user_merges, login_days, user_changes")
}
