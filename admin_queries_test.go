package wxlogin_test

import (
	"database/sql"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"wxlogin/internal/testenv/mysqltest"
)

const adminQueries = "docs/admin-queries.sql"

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

// past is the present, from which it counts days back.
type past time.Time

func (p past) at(days int) string {
	return "'" + time.Time(p).AddDate(0, 0, -days).Format("2006-01-02 15:04:05.000") + "'"
}

func (p past) day(days int) string { return time.Time(p).AddDate(0, 0, -days).Format(time.DateOnly) }

// week returns the Monday of that week.
func (p past) week(days int) string {
	weekday := (int(time.Time(p).Weekday()) + 6) % 7
	return p.day(days + weekday)
}

// newPast leaves a minute, because MySQL's clock has whole seconds.
func newPast() past { return past(time.Now().UTC().Add(-time.Minute)) }

// people inserts seven users: dave and eve (blocked), 70 days old; alice, 35 days, in two mini-programs since zoe, 14 days,
// was merged into her; carol and frank, 14 days; and a new one without a name.
func people(t *testing.T, db *sql.DB, p past) {
	t.Helper()
	const columns = "INSERT INTO users (id, unionid, status, merged_into, nickname, avatar_url, profile_source, " +
		"profile_updated_at, phone_country_code, phone_number, created_at, last_login_at, updated_at) VALUES "
	user := func(fixed string, created, seen int) string {
		return fmt.Sprintf("%s(%s, %s, %s, %[3]s)", columns, fixed, p.at(created), p.at(seen))
	}
	run(t, db,
		user("1, NULL, 1, NULL, 'dave', 'https://a/1', 1, "+p.at(70)+", '852', '51234567'", 70, 70),
		user("2, 'o6_bmasdasdsad6_2sgVt7hMZOPfL', 1, NULL, 'Alice', 'https://a/2', 1, "+p.at(14)+", NULL, NULL", 35, 0),
		user("3, NULL, 1, NULL, 'Alina', '', 2, "+p.at(7)+", '86', '13800001234'", 14, 7),
		user("4, NULL, 1, NULL, '', '', 0, NULL, NULL, NULL", 0, 0),
		user("5, NULL, 2, NULL, 'eve', 'https://a/5', 1, "+p.at(35)+", NULL, NULL", 70, 35),
		user("6, NULL, 3, 2, 'zoe', 'https://a/6', 1, "+p.at(7)+", '86', '13900004321'", 14, 14),
		user("7, NULL, 1, NULL, 'frank', 'https://a/7', 2, "+p.at(7)+", NULL, NULL", 14, 14),
		"INSERT INTO wechat_identities (appid, openid, user_id, created_at) VALUES ('wx1', 'oDave', 1, "+p.at(70)+"), "+
			"('wx1', 'oGZUI0egBJY1zhBYw2KhdUfwVJJE', 2, "+p.at(35)+"), ('wx2', 'oAliceIn2', 2, "+p.at(14)+"), "+
			"('wx1', 'oAlina', 3, "+p.at(14)+"), ('wx2', 'oNew', 4, "+p.at(0)+"), ('wx1', 'oEve', 5, "+p.at(70)+"), "+
			"('wx2', 'oFrank', 7, "+p.at(14)+")",
		"INSERT INTO user_merges (survivor_id, merged_id, unionid, appid, merged_at) "+
			"VALUES (2, 6, 'o6_bmasdasdsad6_2sgVt7hMZOPfL', 'wx2', "+p.at(7)+")",
		"INSERT INTO login_days (day, appid, logins, new_users, active_users) VALUES "+
			fmt.Sprintf("('%s', 'wx1', 5, 0, 1), ('%[1]s', 'wx2', 3, 1, 1), ('%s', 'wx1', 2, 0, 1), ('%s', 'wx1', 4, 1, 1), "+
				"('%[3]s', 'wx2', 2, 2, 2), ('%s', 'wx1', 6, 1, 2), ('%s', 'wx1', 2, 2, 2)",
				p.day(0), p.day(7), p.day(14), p.day(35), p.day(70)),
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

// crowd inserts n users, created evenly over 2000 days, every tenth without a name, and the login counts of these days.
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
				"WHERE id BETWEEN %d AND %d", from, from+batch-1))
	}
	var days []string
	for d := range n {
		days = append(days, fmt.Sprintf("('%s', 'wx%d', 1, 1, 1)", p.day(d/10), d%10))
	}
	run(t, db, "INSERT INTO login_days (day, appid, logins, new_users, active_users) VALUES "+strings.Join(days, ","),
		"ANALYZE TABLE users, wechat_identities, user_merges, login_days")
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
