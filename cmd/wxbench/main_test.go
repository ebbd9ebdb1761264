package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"wxlogin/internal/testenv/redistest"
)

// runBench runs the command on the MySQL of TEST_MYSQL_DSN and a Redis of its own, and returns what it prints.
func runBench(t *testing.T, args ...string) string {
	t.Helper()
	dsn := os.Getenv("TEST_MYSQL_DSN")
	if dsn == "" {
		t.Skip("TEST_MYSQL_DSN is not set; this measures a real MySQL")
	}
	server := redistest.RunServer(t)
	var stdout, stderr bytes.Buffer
	args = append([]string{"-mysql", dsn, "-redis", "redis://" + server.Addr + "/0", "-rounds", "1", "-requests", "96",
		"-connections", "4", "-users", "400", "-people", "200"}, args...)
	if code := run(t.Context(), args, &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	mustLeaveNothing(t, dsn)
	return stdout.String()
}

func mustLeaveNothing(t *testing.T, dsn string) {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var left int
	name := fmt.Sprint("wxbench_", os.Getpid())
	if err := db.QueryRow("SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = ?", name).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d databases are left: %v", left, err)
	}
}

// Every kind works on both servers, and costs the statements and commands that it should.
func TestRun_compares(t *testing.T) {
	file := filepath.Join(t.TempDir(), "result.json")
	out := runBench(t, "-json", file)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var results []comparison
	if err := json.Unmarshal(text, &results); err != nil || len(results) != int(kinds) {
		t.Fatalf("%d results: %v", len(results), err)
	}
	for _, r := range results {
		if !strings.Contains(out, r.Kind) || len(r.WXLogin) != 1 || len(r.Bare) != 1 || r.WXLogin[0].PerSecond <= 0 || r.Bare[0].Mallocs <= 0 {
			t.Errorf("%s: %+v", r.Kind, r)
		}
	}
}

func TestRun_grows(t *testing.T) {
	out := runBench(t, "-growth", "400,800", "-sessions", "50")
	if !strings.Contains(out, "\n    400") || !strings.Contains(out, "\n    800") {
		t.Errorf("printed %s", out)
	}
}

func TestRun_wants_an_empty_Redis(t *testing.T) {
	server := redistest.RunServer(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer client.Close()
	if err := client.Set(t.Context(), "somebody's", "data", 0).Err(); err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	code := run(t.Context(), []string{"-redis", "redis://" + server.Addr + "/0"}, &bytes.Buffer{}, &stderr)
	if code != 1 || !strings.Contains(stderr.String(), "holds 1 keys") {
		t.Errorf("exit code %d: %s", code, stderr.String())
	}
	if n := client.Exists(t.Context(), "somebody's").Val(); n != 1 {
		t.Error("the data is gone")
	}
}

func TestRun_usage(t *testing.T) {
	var stderr bytes.Buffer
	if code := run(t.Context(), []string{"-rounds", "0"}, &bytes.Buffer{}, &stderr); code != 2 || !strings.Contains(stderr.String(), "-rounds") {
		t.Errorf("exit code %d: %s", code, stderr.String())
	}
}
