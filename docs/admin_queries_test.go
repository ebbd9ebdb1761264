package docs_test

import (
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"wxlogin/internal/testenv/mysqltest"
)

const adminQueries = "admin-queries.sql"

// adminQuery is a query of the file, the heading that it prints, and the comment above that.
type adminQuery struct{ question, remarks, sql string }

// heading matches a statement that prints a heading.
var heading = regexp.MustCompile(`^SELECT (?:CONCAT\()?'((?:[^']|'')*)'(?:, .*\))? AS '';\n$`)

// queriesOf parses a file of queries: comments, a heading, then a statement that ends at the end of a line. It leaves out
// the statement that sets the zone.
func queriesOf(t *testing.T, file string) []adminQuery {
	t.Helper()
	var all []adminQuery
	var q adminQuery
	for line := range strings.Lines(read(t, file)) {
		comment, isComment := strings.CutPrefix(line, "--")
		switch {
		case q.sql == "" && isComment:
			q.remarks += comment
		case q.sql == "" && (line == "\n" || strings.HasPrefix(line, "SET ")):
			q = adminQuery{} // the comment was about a group of queries
		case q.sql == "" && heading.MatchString(line):
			q.question = heading.FindStringSubmatch(line)[1]
		default:
			q.sql += line
		}
		if strings.HasSuffix(q.sql, ";\n") {
			q.remarks = strings.Join(strings.Fields(q.remarks), " ")
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
		{"Who signed up last?", "id|apps|phone", []string{"4|1|no", "7|1|no", "3|1|yes", "2|2|no", "5|1|no", "1|1|yes"}},
		{"Who has this openid?", "id|nickname|status|complete", []string{"2|Alice|active|yes"}},
		{"Who has this unionid?", "id|identities", []string{"2|wx1:oGZUI0egBJY1zhBYw2KhdUfwVJJE, wx2:oAliceIn2"}},
		{"Who has this external id?", "id", nil},
		{"Who has this nickname?", "id", []string{"2"}},
		{"Whose nickname begins with this?", "id", []string{"2", "3"}},
		{"In whose nickname is this?", "id", []string{"2"}},
		{"What is known of this user?", "id|identities", []string{"2|wx1:oGZUI0egBJY1zhBYw2KhdUfwVJJE, wx2:oAliceIn2"}},
		{"In which mini-programs is this user", "appid|openid", []string{"wx1|oGZUI0egBJY1zhBYw2KhdUfwVJJE", "wx2|oAliceIn2"}},
		{"What happened to this user", "kind|reason|actor", []string{"disabled|test|carol", "enabled||carol", "disabled|spam|dora"}},
		{"Who is blocked", "id|nickname|actor|reason", []string{"5|eve|dora|spam"}},
		{"Who was erased last", "user_id|reason", []string{"8|wechat"}},
		{"Which users turned out to be one person", "merged_id|survivor_id|nickname|appid", []string{"6|2|Alice|wx2"}},
		{"With whom was this user merged?", "merged_id|survivor_id", []string{"6|2"}},
		{"Who uses several mini-programs?", "id", []string{"2"}},
		{"Who has not been seen for 30 days", "id", []string{"1"}},
		{"Who is anonymous so far", "id|identities", []string{"4|wx2:oNew"}},
		{"How many people signed up on each day?", "day|sign_ups", []string{day(0) + "|1", day(14) + "|3"}},
		{"… and through which mini-program?", "day|appid|sign_ups",
			[]string{day(0) + "|wx2|1", day(14) + "||1", day(14) + "|wx1|1", day(14) + "|wx2|1"}},
		{"How many logins were there on each day", "day|time_zone|logins|new_users|active_users", []string{
			day(0) + "|Asia/Shanghai|8|1|2", day(7) + "|Asia/Shanghai|2|0|1", day(14) + "|Asia/Shanghai|6|3|3"}},
		{"… by mini-program?", "day|appid|logins|new_users|active_users", []string{
			day(0) + "|wx1|5|0|1", day(0) + "|wx2|3|1|1", day(7) + "|wx1|2|0|1", day(14) + "|wx1|4|1|1", day(14) + "|wx2|2|2|2"}},
		{"… by week", "week|logins|new_users|visits",
			[]string{week(0) + "|8|1|2", week(7) + "|2|0|1", week(14) + "|6|3|3", week(35) + "|6|1|2", week(70) + "|2|2|2"}},
		{"… by month?", "month|logins|new_users|visits", months(p)},
		{"How many profiles were completed", "day|completed", []string{day(7) + "|1", day(14) + "|1"}},
		{"How many who signed up on each day", "day|sign_ups|completed|percent",
			[]string{day(0) + "|1|0|0.0", day(14) + "|3|1|33.3"}},
		{"What was erased on each day, or removed", "day|reason|erased|profiles|phones",
			[]string{day(7) + "|wechat|1|0|0", day(14) + "|person|0|1|1"}},
		{"How many who signed up in each week", "week|sign_ups|day_1|day_7|day_30",
			[]string{week(0) + "|1|0|0|0", week(14) + "|3|1|1|0", week(35) + "|1|1|1|1", week(70) + "|2|1|1|1"}},
		{"How many people were seen", "hours_24|days_7|days_30", []string{"2|2|4"}},
		{"How has the number of users grown?", "day|sign_ups|erased|users",
			[]string{day(70) + "|2|0|2", day(35) + "|1|0|3", day(14) + "|3|0|6", day(7) + "|0|1|5", day(0) + "|1|0|6"}},
		{"How many users are there of each status?", "status|users", []string{"active|5", "disabled|1", "erased|1", "merged|1"}},
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
		"UPDATE user_merges SET survivor_id = 4712", "UPDATE wechat_identities SET user_id = 8 WHERE openid = 'oEve'")
	got := table(t, admin, queries[len(queries)-1].sql, "fault|user_id")
	slices.Sort(got)
	want := []string{"identity of a merged user|6", "identity of an erased user|8", "identity without user|1",
		"merge that users does not show|6", "merged into nobody|6", "user without identity|4", "user without identity|5",
		"user without identity|7"}
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
		if got, want := rows > n/2, strings.Contains(q.remarks, "Reads everything."); got != want {
			t.Errorf("%d rows of %d read, and reading everything it says %v: %s", rows, n, want, q.question)
		}
	}
}

// Questions about one user use an index, and so does the one by phone number.
func TestAdminQueries_Index(t *testing.T) {
	if os.Getenv("TEST_MYSQL_DSN") == "" {
		t.Skip("NOTICE: without TEST_MYSQL_DSN the plans of the queries are not checked")
	}
	db := openSQL(t, mysqltest.NewWithSchema(t))
	crowd(t, db, 2000, newPast())
	lookups := []adminQuery{{question: "Who has this phone number?", sql: phoneQuery(t)}}
	for _, q := range queriesOf(t, adminQueries) {
		if one := regexp.MustCompile(`(?:openid|unionid|external_id|nickname|id) = `); one.MatchString(strings.Join(strings.Split(q.sql, "WHERE")[1:], "")) &&
			!strings.Contains(q.remarks, "Reads everything.") {
			lookups = append(lookups, q)
		}
	}
	if len(lookups) < 8 {
		t.Fatalf("%d questions about one user", len(lookups))
	}
	for _, q := range lookups {
		for _, access := range column(t, db, "EXPLAIN FORMAT=TRADITIONAL "+q.sql, "type") {
			if access == "ALL" || access == "index" {
				t.Errorf("%s reads a table by %s", q.question, access)
			}
		}
	}
}

// phoneQuery returns the query that is in a comment, because the administrators' account may not run it.
func phoneQuery(t *testing.T) string {
	t.Helper()
	_, query, found := strings.Cut(read(t, adminQueries), "--   SELECT id, nickname, status FROM users ")
	query, _, _ = strings.Cut(query, "\n")
	if !found || !strings.HasSuffix(query, ";") {
		t.Fatal("there is no query by phone number")
	}
	return "SELECT id, nickname, status FROM users " + query
}

func TestAdminQueries_Phone(t *testing.T) {
	dsn := mysqltest.NewWithSchema(t)
	db := openSQL(t, dsn)
	people(t, db, newPast())
	if got := table(t, db, phoneQuery(t), "id|nickname"); !slices.Equal(got, []string{"3|Alina"}) {
		t.Errorf("found %q", got)
	}
}

// Days begin at midnight of @zone, and without it at midnight in China.
func TestAdminQueries_Zone(t *testing.T) {
	dsn := mysqltest.NewWithSchema(t)
	db := openSQL(t, dsn)
	db.SetMaxOpenConns(1)
	p := newPast()
	today := time.Time(p).Truncate(24 * time.Hour)
	evening := past(today.Add(-2*24*time.Hour + 17*time.Hour)) // 01:00 of the next day in China, 13:00 of this one in New York
	run(t, db, "INSERT INTO users (id, nickname, avatar_url, profile_updated_at, created_at, updated_at, last_login_at) VALUES "+
		"(1, 'a', 'https://a/1', "+strings.Repeat(evening.at(0)+", ", 3)+evening.at(0)+")",
		"INSERT INTO user_changes (seq, kind, user_id, changed_at) VALUES (1, 'erased', 2, "+evening.at(0)+")")
	for zone, want := range map[string]string{
		"NULL": past(today).day(1), "'+08:00'": past(today).day(1), "'+00:00'": past(today).day(2), "'-04:00'": past(today).day(2),
	} {
		run(t, db, "SET @zone = "+zone)
		n := 0
		for _, q := range queriesOf(t, adminQueries) {
			if !strings.Contains(q.sql, "@zone") || strings.Contains(q.sql, "AS week") {
				continue
			}
			n++
			if got := column(t, db, q.sql, "day"); !slices.Equal(got, []string{want}) {
				t.Errorf("@zone %s: %s %q, want %s", zone, q.question, got, want)
			}
		}
		if n < 6 {
			t.Errorf("%d queries by day", n)
		}
	}
}

// The mysql client runs the whole file as its first lines say, and prints each heading, and names in any script.
func TestAdminQueries_Client(t *testing.T) {
	realAccounts(t)
	needs(t, "mysql")
	dsn := mysqltest.NewWithSchema(t)
	db := openSQL(t, dsn)
	people(t, db, newPast())
	run(t, db, "UPDATE users SET nickname = '小明😀' WHERE id = 4")
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(config.Addr)
	if err != nil {
		t.Fatal(err)
	}
	text := read(t, adminQueries)
	_, command, _ := strings.Cut(text, "--   mysql ")
	command, _, _ = strings.Cut(command, " wxlogin < docs/admin-queries.sql\n")
	command = strings.NewReplacer("HOST", host+" -P "+port, "admin_ro", newAccount(t, dsn), "-p ", "--protocol=tcp ").Replace(command)
	cmd := exec.Command("mysql", append(strings.Fields(command), config.DBName)...)
	cmd.Env, cmd.Stdin = append(os.Environ(), "MYSQL_PWD="+adminPassword, "LC_ALL=C"), strings.NewReader(text)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("mysql %s: %v\n%s", command, err, out)
	}
	for _, q := range queriesOf(t, adminQueries) {
		if q.question == "" || !strings.Contains(string(out), strings.ReplaceAll(q.question, "''", "'")) {
			t.Errorf("it prints no heading %q", q.question)
		}
	}
	if !strings.Contains(string(out), "小明😀") || !strings.Contains(string(out), "Days of UTC+08:00") {
		t.Errorf("the zone or a name is missing:\n%s", out)
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
