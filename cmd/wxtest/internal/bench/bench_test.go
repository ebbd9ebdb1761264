package bench

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/cmd/wxtest/internal/cli"
	"wxlogin/internal/testenv/redistest"
)

func TestParse(t *testing.T) {
	c, err := parse([]string{"-kinds", "changed, new", "-growth", "20000,1000000"}, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.kinds) != 2 || c.kinds[0] != changed || c.kinds[1] != newcomer || len(c.growth) != 2 || c.growth[1] != 1000000 {
		t.Errorf("%v, %v", c.kinds, c.growth)
	}
}

func TestParse_rejects(t *testing.T) {
	for args, want := range map[string]string{
		"-kinds login":                    `-kinds has "login", which is none of returning, new,`,
		"-growth 20000,x":                 `"x", which is not a number`,
		"-growth 30000,20000":             "must be ascending",
		"-growth 10":                      "-growth must begin with at least -users",
		"-rounds 0":                       "-rounds",
		"-connections 0":                  "-connections",
		"-requests 20":                    "-requests",
		"-users 30000":                    "-users",
		"-latency -1s":                    "-latency",
		"now":                             "unexpected arguments: now",
		"-connections 50000 -requests 10": "-users",
	} {
		var stderr strings.Builder
		if _, err := parse(strings.Fields(args), io.Discard, &stderr); !errors.Is(err, cli.ErrUsage) || !strings.Contains(stderr.String(), want) {
			t.Errorf("%s: %v, %q, want %q", args, err, stderr.String(), want)
		}
	}
}

func TestDocs_commands_are_valid(t *testing.T) {
	page, err := os.ReadFile("../../../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for line := range strings.Lines(string(page)) {
		args, ok := strings.CutPrefix(strings.TrimSpace(line), "go run ./cmd/wxtest bench")
		if !ok {
			continue
		}
		found++
		if _, err := parse(strings.Fields(args), io.Discard, io.Discard); err != nil {
			t.Errorf("%s: %v", strings.TrimSpace(line), err)
		}
	}
	if found < 4 {
		t.Errorf("%d commands", found)
	}
}

// echo answers with what it is sent, and 503 for "full".
func echo(t *testing.T, asked *atomic.Int64) (addr string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		body, _ := io.ReadAll(r.Body)
		if string(body) == "full" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		w.Write(body)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func request(body string) []byte {
	return fmt.Appendf(nil, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

func TestDrive_sends_each_request_once(t *testing.T) {
	var asked atomic.Int64
	requests := make([][]byte, 100)
	for i := range requests {
		requests[i] = request(fmt.Sprint("number ", i))
	}
	bodies := make([]string, len(requests))
	took, err := connections{7, time.Microsecond}.drive(t.Context(), echo(t, &asked), requests, func(i int, body []byte) { bodies[i] = string(body) })
	if err != nil || asked.Load() != 100 || len(took) != 100 {
		t.Fatalf("%d times, %d asked, %v", len(took), asked.Load(), err)
	}
	for i, body := range bodies {
		if body != fmt.Sprint("number ", i) || took[i] <= 0 {
			t.Errorf("request %d took %v: %q", i, took[i], body)
		}
	}
}

func TestDrive_ends_with_the_first_refusal(t *testing.T) {
	var asked atomic.Int64
	requests := [][]byte{request("a"), request("full"), request("b"), request("c")}
	_, err := connections{n: 1}.drive(t.Context(), echo(t, &asked), requests, nil)
	if err == nil || !strings.Contains(err.Error(), "the server answers 503: full") || asked.Load() != 2 {
		t.Errorf("%v, %d asked", err, asked.Load())
	}
}

func TestInParallel(t *testing.T) {
	var sum atomic.Int64
	if err := inParallel(1000, func(i int) error { sum.Add(int64(i)); return nil }); err != nil || sum.Load() != 499500 {
		t.Errorf("%d, %v", sum.Load(), err)
	}
	failure := errors.New("at 10")
	if err := inParallel(1000, func(i int) error {
		if i == 10 {
			return failure
		}
		return nil
	}); !errors.Is(err, failure) {
		t.Errorf("%v", err)
	}
}

func TestMedians_are_of_each_figure(t *testing.T) {
	m := medians([]round{{CPU: 3, P50: 1}, {CPU: 1, P50: 3}, {CPU: 2, P50: 2}})
	if m.CPU != 2 || m.P50 != 2 {
		t.Errorf("%+v", m)
	}
	if m := medians([]round{{CPU: 1}, {CPU: 2}}); m.CPU != 1.5 {
		t.Errorf("%+v", m)
	}
}

// A machine that is busy for a while disturbs both rounds of a pair, and their ratio stays.
func TestRatios_are_of_pairs(t *testing.T) {
	ours := []round{{CPU: 110}, {CPU: 220}, {CPU: 1100}}
	bare := []round{{CPU: 100}, {CPU: 200}, {CPU: 1000}}
	if m := ratios(ours, bare); m.CPU < 1.09 || m.CPU > 1.11 || m.Commands != 0 {
		t.Errorf("%+v", m)
	}
}

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
		"-connections", "4", "-rows", "400", "-users", "200"}, args...)
	if err := Run(t.Context(), args, &stdout, &stderr); err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
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
	name := fmt.Sprint("wxtest_", os.Getpid())
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
		if !strings.Contains(out, r.Kind) || len(r.WXLogin) != 1 || len(r.Baseline) != 1 || r.WXLogin[0].PerSecond <= 0 || r.Baseline[0].Mallocs <= 0 {
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
	if err := client.Set(t.Context(), "another's", "data", 0).Err(); err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	err := Run(t.Context(), []string{"-redis", "redis://" + server.Addr + "/0"}, &bytes.Buffer{}, &stderr)
	if cli.Code(err, &stderr) != 1 || !strings.Contains(stderr.String(), "holds 1 keys") {
		t.Errorf("%v: %s", err, stderr.String())
	}
	if n := client.Exists(t.Context(), "another's").Val(); n != 1 {
		t.Error("the data is gone")
	}
}
