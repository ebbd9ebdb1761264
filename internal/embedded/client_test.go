package embedded_test

import (
	"database/sql"
	"net"
	osexec "os/exec"
	"strings"
	"testing"

	"wxlogin/internal/embedded"
)

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
