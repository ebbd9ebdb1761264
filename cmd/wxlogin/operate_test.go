package main

import (
	"bytes"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"

	"wxlogin/internal/testenv/mysqltest"
)

func TestMigrate(t *testing.T) {
	environ := []string{"MYSQL_DSN=" + mysqltest.New(t)}
	for _, want := range []string{"database migrated from version 0 to version 4", "database is already at version 4"} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), []string{"migrate"}, environ, &stdout, &stderr); code != exitOK {
			t.Fatalf("exit code %d: %s", code, stderr.String())
		}
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("stdout %q, want %q", stdout.String(), want)
		}
	}
}

func TestSweep(t *testing.T) {
	dsn, dir := mysqltest.NewWithSchema(t), t.TempDir()
	environ := []string{"MYSQL_DSN=" + dsn, "AVATAR_DIR=" + dir, "PUBLIC_URL=https://login.example.com"}
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("INSERT INTO users (created_at, updated_at, last_login_at) VALUES (NOW(), NOW(), NOW())"); err != nil {
		t.Fatal(err)
	}
	orphan := filepath.Join(dir, strings.Repeat("a", 32)+".png")
	if err := os.WriteFile(orphan, []byte("orphan"), 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-48 * time.Hour)
	if err := os.Chtimes(orphan, old, old); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, args     string
		environ        []string
		code           int
		stdout, stderr string
		left           bool // whether the orphan still exists
	}{
		{"help", "-help", environ, exitOK, "Usage: wxlogin sweep", "", true},
		{"an unknown flag", "-now", environ, exitUsage, "", "Usage: wxlogin sweep", true},
		{"an argument", "all", environ, exitUsage, "", "Usage: wxlogin sweep", true},
		{"no store", "", environ[:1], exitUsage, "", "AVATAR_DIR", true},
		{"no database", "", append([]string{"MYSQL_DSN=root@tcp(127.0.0.1:1)/x"}, environ[1:]...), exitFailed, "", "unavailable", true},
		{"a dry run", "-dry-run", environ, exitOK, "1 files, 1 of them (6 bytes) would be deleted", "", true},
		{"for real", "", environ, exitOK, "1 files, 1 of them (6 bytes) deleted", "", false},
		{"again", "", environ, exitOK, "0 files, 0 of them (0 bytes) deleted", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), append([]string{"sweep"}, strings.Fields(tt.args)...), tt.environ, &stdout, &stderr)
			if code != tt.code || !strings.Contains(stdout.String(), tt.stdout) || !strings.Contains(stderr.String(), tt.stderr) {
				t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout.String(), stderr.String())
			}
			if _, err := os.Stat(orphan); (err == nil) != tt.left {
				t.Errorf("the orphan: %v", err)
			}
		})
	}
}
