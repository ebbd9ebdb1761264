package embedded_test

import (
	"database/sql"
	"errors"
	"fmt"
	"net"
	osexec "os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"wxlogin/internal/embedded"
)

func TestStartMySQL_Addresses(t *testing.T) {
	taken := startMySQL(t, embedded.MySQLOptions{})
	tests := map[string]struct {
		addr string
		ok   bool
	}{
		"default":        {"", true},
		"loopback":       {"127.0.0.1:0", true},
		"other loopback": {"127.0.0.2:0", true},
		"localhost":      {"localhost:0", true},
		"all interfaces": {"0.0.0.0:0", false},
		"port only":      {":0", false},
		"not loopback":   {"192.0.2.1:0", false},
		"host name":      {"db.example:0", false},
		"no port":        {"127.0.0.1", false},
		"in use":         {taken.Addr(), false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m, err := embedded.StartMySQL(embedded.MySQLOptions{Addr: test.addr})
			if (err == nil) != test.ok {
				t.Errorf("error %v, want none: %v", err, test.ok)
			}
			if err == nil {
				m.Close()
			}
		})
	}
}

func TestMySQL_Close(t *testing.T) {
	m, err := embedded.StartMySQL(embedded.MySQLOptions{TransactionIdle: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	db := openDB(t, m, nil)
	createCounter(t, db)
	holder, waiter := takeConn(t, db), takeConn(t, db)
	exec(t, holder, "BEGIN", increment)
	waited := make(chan error, 1)
	go func() { waited <- errorOf(waiter.ExecContext(t.Context(), increment)) }()
	eventually(t, "two connections", func() bool {
		return queryInt(t, holder, "SELECT COUNT(*) FROM information_schema.processlist") == 2
	})

	for range 2 {
		if err := withTimeout(t, 20*time.Second, m.Close); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
	if <-waited == nil {
		t.Error("a waiting statement ran during Close")
	}
	if err := db.PingContext(t.Context()); err == nil {
		t.Error("the server still accepts connections")
	}
	again := startMySQL(t, embedded.MySQLOptions{Addr: m.Addr()}) // the port is free again
	if err := openDB(t, again, nil).PingContext(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestMySQL_SeparateServers(t *testing.T) {
	a := startMySQL(t, embedded.MySQLOptions{Database: "one", TransactionIdle: time.Minute})
	b := startMySQL(t, embedded.MySQLOptions{Database: "two", TransactionIdle: time.Minute})
	holder := takeConn(t, openDB(t, a, nil))
	createCounter(t, holder)
	exec(t, holder, "BEGIN", increment)
	createCounter(t, openDB(t, b, nil)) // the other server's table and open transaction do not interfere
	if !strings.HasSuffix(a.DSN(), "/one") || !strings.HasSuffix(b.DSN(), "/two") {
		t.Errorf("DSNs %s and %s", a.DSN(), b.DSN())
	}
}

func TestMySQL_Charset(t *testing.T) {
	m := startMySQL(t, embedded.MySQLOptions{})
	for name, connect := range map[string]func(*mysql.Config){
		"default": nil,
		"named":   func(c *mysql.Config) { _ = c.Apply(mysql.Charset("utf8mb4", "utf8mb4_unicode_ci")) },
	} {
		t.Run(name, func(t *testing.T) {
			db := openDB(t, m, connect)
			var charsets [3]string
			err := db.QueryRow("SELECT @@character_set_client, @@character_set_connection, @@character_set_results").
				Scan(&charsets[0], &charsets[1], &charsets[2])
			if err != nil || charsets != [3]string{"utf8mb4", "utf8mb4", "utf8mb4"} {
				t.Errorf("%v, %v", charsets, err)
			}
		})
	}
}

// protocols are the Go driver's two ways of sending values.
var protocols = map[string]func(*mysql.Config){
	"text":     func(c *mysql.Config) { c.InterpolateParams, c.ParseTime = true, true },
	"prepared": func(c *mysql.Config) { c.InterpolateParams, c.ParseTime = false, true },
}

func TestMySQL_Values(t *testing.T) {
	for name, connect := range protocols {
		t.Run(name, func(t *testing.T) {
			db := openDB(t, startMySQL(t, embedded.MySQLOptions{}), connect)
			exec(t, db, `CREATE TABLE v (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, name VARCHAR(255) NOT NULL,
				at DATETIME(3) NOT NULL, none DATETIME(3) NULL, n TINYINT UNSIGNED NOT NULL DEFAULT 1)
				DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci COMMENT='values'`)
			at := time.Date(2025, 3, 14, 15, 9, 26, 535_000_000, time.UTC)
			for _, want := range []string{"微信用户", "👩‍👩‍👧 𠮷野家 🏳️‍🌈", `quote ' " \ % _ ;`, "", "tab\tline\nend"} {
				r, err := db.Exec("INSERT INTO v (name, at, none) VALUES (?, ?, ?)", want, at, nil)
				if err != nil {
					t.Fatal(err)
				}
				id, _ := r.LastInsertId()
				var got string
				var when time.Time
				var none sql.NullTime
				if err := db.QueryRow("SELECT name, at, none FROM v WHERE id = ?", id).Scan(&got, &when, &none); err != nil {
					t.Fatal(err)
				}
				if got != want || !when.Equal(at) || none.Valid {
					t.Errorf("%q at %v (%v) came back as %q at %v", want, at, none, got, when)
				}
			}
		})
	}
}

func TestMySQL_CaseSensitiveASCII(t *testing.T) {
	for name, connect := range protocols {
		t.Run(name, func(t *testing.T) {
			db := openDB(t, startMySQL(t, embedded.MySQLOptions{}), connect)
			exec(t, db, `CREATE TABLE i (id INT AUTO_INCREMENT PRIMARY KEY,
				openid VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, UNIQUE KEY by_openid (openid))`)
			for _, openID := range []string{"oAbC", "oabc"} {
				if _, err := db.Exec("INSERT INTO i (openid) VALUES (?)", openID); err != nil {
					t.Fatal(err)
				}
				if n := queryInt(t, db, "SELECT COUNT(*) FROM i WHERE openid = ?", openID); n != 1 {
					t.Errorf("%d rows for %s, want 1", n, openID)
				}
			}
			var mysqlErr *mysql.MySQLError
			if _, err := db.Exec("INSERT INTO i (openid) VALUES (?)", "oAbC"); !errors.As(err, &mysqlErr) || mysqlErr.Number != 1062 {
				t.Errorf("got %v, want a duplicate key", err)
			}
			if n := queryInt(t, db, "SELECT COUNT(*) FROM i WHERE openid = ?", "OABC"); n != 0 {
				t.Error("found by a spelling that was never stored")
			}
		})
	}
}

const testScript = `
-- A comment; with a semicolon and a quote '
CREATE TABLE IF NOT EXISTS people (
  id INT PRIMARY KEY COMMENT 'a; semicolon', -- and more
  name VARCHAR(10) NOT NULL
) COMMENT='people';
/* another; */ ;
INSERT IGNORE INTO people VALUES (1, 'a;b');

CREATE OR REPLACE VIEW names AS
SELECT p.name FROM people p;  -- the view
CREATE OR REPLACE VIEW more_names AS SELECT p.name FROM people p;
# the end;
`

func TestMySQL_Scripts(t *testing.T) {
	m := startMySQL(t, embedded.MySQLOptions{})
	db := openDB(t, m, multiStatements)
	exec(t, db, testScript, testScript) // twice in a row
	for _, view := range []string{"names", "more_names"} {
		var name string
		if err := db.QueryRow("SELECT name FROM " + view).Scan(&name); err != nil || name != "a;b" {
			t.Errorf("%s: %q, %v", view, name, err)
		}
	}

	t.Run("returns every result", func(t *testing.T) {
		rows, err := db.Query("SELECT 1; SELECT 2; SELECT 3; -- end")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		var got []int
		for more := true; more; more = rows.NextResultSet() {
			for rows.Next() {
				var n int
				if err := rows.Scan(&n); err != nil {
					t.Fatal(err)
				}
				got = append(got, n)
			}
		}
		if err := rows.Err(); err != nil || !slices.Equal(got, []int{1, 2, 3}) {
			t.Errorf("%v, %v", got, err)
		}
	})

	t.Run("stops at the first failure", func(t *testing.T) {
		c := takeConn(t, db)
		exec(t, c, "CREATE TABLE s (id INT PRIMARY KEY)")
		_, err := c.ExecContext(t.Context(), "INSERT INTO s VALUES (1); INSERT INTO s VALUES (1); INSERT INTO s VALUES (2);")
		var mysqlErr *mysql.MySQLError
		if !errors.As(err, &mysqlErr) || mysqlErr.Number != 1062 {
			t.Errorf("got %v, want a duplicate key", err)
		}
		if n := queryInt(t, c, "SELECT COUNT(*) FROM s"); n != 1 { // on the same connection: it is still in sync
			t.Errorf("%d rows, want 1", n)
		}
	})

	t.Run("may hold transactions", func(t *testing.T) {
		createCounter(t, db)
		exec(t, takeConn(t, db), "BEGIN; "+increment+"; ROLLBACK; BEGIN; "+increment+"; COMMIT")
		if n := queryInt(t, db, count); n != 1 {
			t.Errorf("counted to %d, want 1", n)
		}
	})
}

func TestMySQL_ManyRows(t *testing.T) {
	for name, connect := range protocols {
		t.Run(name, func(t *testing.T) {
			db := openDB(t, startMySQL(t, embedded.MySQLOptions{}), connect)
			exec(t, db, "CREATE TABLE r (id INT PRIMARY KEY, name VARCHAR(100) NOT NULL)")
			var values []string
			for i := range 1000 {
				values = append(values, fmt.Sprintf("(%d, 'row %d')", i, i))
			}
			exec(t, db, "INSERT INTO r VALUES "+strings.Join(values, ","))
			rows, err := db.Query("SELECT id, name FROM r WHERE id >= ? ORDER BY id", 0)
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			n := 0
			for ; rows.Next(); n++ {
				var id int
				var name string
				if err := rows.Scan(&id, &name); err != nil || id != n || name != fmt.Sprintf("row %d", n) {
					t.Fatalf("row %d: %d, %q, %v", n, id, name, err)
				}
			}
			if n != 1000 || rows.Err() != nil {
				t.Errorf("%d rows, %v", n, rows.Err())
			}
		})
	}
}

func BenchmarkMySQL(b *testing.B) {
	for name, connect := range protocols {
		b.Run(name, func(b *testing.B) {
			m := startMySQL(b, embedded.MySQLOptions{})
			db := openDB(b, m, connect)
			createCounter(b, db)
			for b.Loop() {
				if n := queryInt(b, db, "SELECT n FROM counter WHERE id = ?", 1); n != 0 {
					b.Fatal(n)
				}
			}
		})
	}
}

// An administrator connects with the distribution's client, looks around and queries. If no client is installed, the
// same statements run through the Go driver.
func TestMySQL_CommandLineClient(t *testing.T) {
	m := startMySQL(t, embedded.MySQLOptions{})
	run := newClient(t, m)

	steps := []struct {
		statement string
		want      string // a substring of the output
	}{
		{testScript, ""},
		{"INSERT INTO people VALUES (2, '小明🏮')", ""},
		{"SHOW DATABASES", "wxlogin"},
		{"SHOW TABLES", "people"},
		{"SHOW CREATE TABLE people", "a; semicolon"},
		{"DESCRIBE people", "varchar(10)"},
		{"SELECT name FROM names ORDER BY name", "小明🏮"},
		{"SELECT COUNT(*) FROM people WHERE name = '小明🏮'", "1"},
		{"SHOW FULL COLUMNS FROM people", "name"},
		{"SHOW VARIABLES LIKE 'character_set_client'", "utf8mb4"},
		{"SELECT DATABASE(), USER()", "root"},
	}
	for _, step := range steps {
		if got := run(t, step.statement); !strings.Contains(got, step.want) {
			t.Errorf("%s: no %q in\n%s", step.statement, step.want, got)
		}
	}
}

// newClient returns a function that runs a script and returns its output.
func newClient(t *testing.T, m *embedded.MySQL) func(*testing.T, string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(m.Addr())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"mariadb", "mysql"} {
		path, err := osexec.LookPath(name)
		if err != nil {
			continue
		}
		return func(t *testing.T, script string) string {
			t.Helper()
			cmd := osexec.CommandContext(t.Context(), path, "--no-defaults", "-h", host, "-P", port, "-u", "root",
				"--default-character-set=utf8mb4", "wxlogin")
			cmd.Stdin = strings.NewReader(script)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%s: %s: %v\n%s", name, script, err, out)
			}
			return string(out)
		}
	}
	t.Log("neither mariadb nor mysql is installed: using the Go driver instead")
	return newDriverClient(t, m)
}

// newDriverClient imitates the command-line client: it prints the columns of a row separated by tabs.
func newDriverClient(t *testing.T, m *embedded.MySQL) func(*testing.T, string) string {
	db := openDB(t, m, multiStatements)
	return func(t *testing.T, script string) string {
		t.Helper()
		rows, err := db.QueryContext(t.Context(), script)
		if err != nil {
			t.Fatalf("%s: %v", script, err)
		}
		defer rows.Close()
		var out strings.Builder
		for more := true; more; more = rows.NextResultSet() {
			for rows.Next() {
				columns, _ := rows.Columns()
				values := make([]sql.NullString, len(columns))
				targets := make([]any, len(columns))
				for i := range values {
					targets[i] = &values[i]
				}
				if err := rows.Scan(targets...); err != nil {
					t.Fatalf("%s: %v", script, err)
				}
				for _, v := range values {
					out.WriteString(v.String + "\t")
				}
				out.WriteString("\n")
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatalf("%s: %v", script, err)
		}
		return out.String()
	}
}
