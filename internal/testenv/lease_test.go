package testenv_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"wxlogin/internal/testenv"
)

// sharedServer starts a miniredis that plays the server that other processes use too.
func sharedServer(t *testing.T, urlEnd string) *miniredis.Miniredis {
	t.Helper()
	server := miniredis.RunT(t)
	t.Setenv("TEST_REDIS_MODE", "")
	t.Setenv("TEST_REDIS_URL", "redis://"+server.Addr()+urlEnd)
	return server
}

// leaseRedis leases a database for a fake test.
func leaseRedis(t *testing.T) (*fakeT, *testenv.Redis) {
	t.Helper()
	ft := &fakeT{TB: t}
	var r *testenv.Redis
	ft.run(func() { r = testenv.NewRedis(ft) })
	t.Cleanup(ft.finish)
	return ft, r
}

func dbPath(r *testenv.Redis) string {
	if r == nil {
		return "none"
	}
	return r.URL[strings.LastIndex(r.URL, "/"):]
}

func TestLease(t *testing.T) {
	tests := map[string]struct {
		url     string
		prepare func(*miniredis.Miniredis)
		want    string // "none": not leased
		left    string // expected value of the key "theirs" in database 1
	}{
		"first free database":                  {"/", func(*miniredis.Miniredis) {}, "/1", ""},
		"database 0 means any":                 {"/0", func(*miniredis.Miniredis) {}, "/1", ""},
		"database in the URL":                  {"/7", func(*miniredis.Miniredis) {}, "/7", ""},
		"keeps options of the URL":             {"/7?max_retries=2", func(*miniredis.Miniredis) {}, "/7?max_retries=2", ""},
		"keeps foreign keys":                   {"/", func(s *miniredis.Miniredis) { s.DB(1).Set("theirs", "1") }, "/2", "1"},
		"database in the URL has foreign keys": {"/1", func(s *miniredis.Miniredis) { s.DB(1).Set("theirs", "1") }, "none", "1"},
		"locked by another test": {"/", func(s *miniredis.Miniredis) {
			s.Set("wxlogin:test:db:1", "x")
			s.DB(1).Set("theirs", "1")
		}, "/2", "1"},
		"removes keys of a killed test": {"/1", func(s *miniredis.Miniredis) {
			s.Set("wxlogin:test:used:1", "x")
			s.DB(1).Set("theirs", "1")
		}, "/1", ""},
		"foreign keys in every database": {"/", func(s *miniredis.Miniredis) {
			for n := 1; n <= 15; n++ {
				s.DB(n).Set("theirs", "1")
			}
		}, "none", "1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := sharedServer(t, test.url)
			server.Set("foreign", "in database 0")
			test.prepare(server)
			ft, r := leaseRedis(t)
			if got := dbPath(r); got != test.want {
				t.Fatalf("database %s, want %s; %q", got, test.want, ft.failures)
			}
			if r == nil && !strings.Contains(ft.failures[0], "left alone") {
				t.Errorf("the failure has no reason: %q", ft.failures)
			}
			if r != nil {
				if d := r.Dump(t); len(d) != 0 {
					t.Errorf("not empty: %q", d)
				}
				r.Client.Set(t.Context(), "ours", 1, 0)
				ft.finish()
			}
			if got, _ := server.DB(1).Get("theirs"); got != test.left {
				t.Errorf("the key theirs is %q, want %q", got, test.left)
			}
			if got, _ := server.Get("foreign"); got == "" {
				t.Error("database 0 was emptied")
			}
			if r != nil && len(ft.failures) != 0 {
				t.Errorf("failures: %q", ft.failures)
			}
		})
	}
}

func TestLease_Released(t *testing.T) {
	server := sharedServer(t, "/")
	first, a := leaseRedis(t)
	second, b := leaseRedis(t)
	if dbPath(a) != "/1" || dbPath(b) != "/2" {
		t.Fatalf("databases %s and %s, want 1 and 2", dbPath(a), dbPath(b))
	}
	for _, n := range []string{"wxlogin:test:db:1", "wxlogin:test:db:2"} {
		if server.TTL(n) <= 0 {
			t.Errorf("%s has no TTL and would stay if the run were killed", n)
		}
	}
	a.Client.Set(t.Context(), "ours", 1, 0)
	first.finish()
	second.finish()
	if keys := server.Keys(); len(keys) != 0 {
		t.Errorf("left in database 0: %q", keys)
	}
	if keys := server.DB(1).Keys(); len(keys) != 0 {
		t.Errorf("left in database 1: %q", keys)
	}
	if _, c := leaseRedis(t); dbPath(c) != "/1" {
		t.Errorf("database %s, want the first again", dbPath(c))
	}
}

func TestLease_Wait(t *testing.T) {
	server := sharedServer(t, "/1")
	first, _ := leaseRedis(t)
	before := server.CommandCount()
	got := make(chan string)
	ft := &fakeT{TB: t}
	go ft.run(func() { got <- dbPath(testenv.NewRedis(ft)) })
	for server.CommandCount() < before+10 { // it polls
		select {
		case n := <-got:
			t.Fatalf("leased %s while another test holds it", n)
		default:
			runtime.Gosched()
		}
	}
	first.finish()
	if n := <-got; n != "/1" {
		t.Errorf("leased %s", n)
	}
	ft.finish()
}

func TestLease_LostLock(t *testing.T) {
	server := sharedServer(t, "/")
	ft, _ := leaseRedis(t)
	server.Set("wxlogin:test:db:1", "another test's")
	server.DB(1).Set("theirs", "1")
	ft.finish()
	if got, _ := server.DB(1).Get("theirs"); got != "1" {
		t.Error("the database was emptied")
	}
	if got, _ := server.Get("wxlogin:test:db:1"); got != "another test's" {
		t.Error("the other test's lock was deleted")
	}
	if len(ft.failures) != 1 || !strings.Contains(ft.failures[0], "lock was lost") {
		t.Errorf("failures: %q", ft.failures)
	}
}

func TestLease_UnreadableURL(t *testing.T) {
	t.Setenv("TEST_REDIS_URL", "http://:hidden@127.0.0.1")
	for _, mode := range []string{"", "cluster"} {
		t.Setenv("TEST_REDIS_MODE", mode)
		ft, _ := leaseRedis(t)
		if len(ft.failures) != 1 || strings.Contains(ft.failures[0], "hidden") {
			t.Errorf("mode %q: failures: %q", mode, ft.failures)
		}
	}
}
