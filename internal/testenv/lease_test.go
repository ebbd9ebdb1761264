package testenv_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"wxlogin/internal/testenv"
)

// shared plays the Redis server that others use too.
func sharedServer(t *testing.T, urlEnd string) *miniredis.Miniredis {
	t.Helper()
	server := miniredis.RunT(t)
	t.Setenv("TEST_REDIS_MODE", "")
	t.Setenv("TEST_REDIS_URL", "redis://"+server.Addr()+urlEnd)
	return server
}

// lease gives an inner test its database.
func leaseRedis(t *testing.T) (*fakeT, *testenv.Redis) {
	t.Helper()
	i := &fakeT{TB: t}
	var r *testenv.Redis
	i.run(func() { r = testenv.NewRedis(i) })
	t.Cleanup(i.finish)
	return i, r
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
		want    string // "none": refused
		left    string // what must still be in database 1, key "theirs"
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
			server.Set("of others", "in database 0")
			test.prepare(server)
			i, r := leaseRedis(t)
			if got := dbPath(r); got != test.want {
				t.Fatalf("database %s, want %s; %q", got, test.want, i.failures)
			}
			if r == nil && !strings.Contains(i.failures[0], "left alone") {
				t.Errorf("it does not say why: %q", i.failures)
			}
			if r != nil {
				if d := r.Dump(t); len(d) != 0 {
					t.Errorf("it is not empty: %q", d)
				}
				r.Client.Set(t.Context(), "ours", 1, 0)
				i.finish()
			}
			if got, _ := server.DB(1).Get("theirs"); got != test.left {
				t.Errorf("of theirs there is %q, want %q", got, test.left)
			}
			if got, _ := server.Get("of others"); got == "" {
				t.Error("database 0 was emptied")
			}
			if r != nil && len(i.failures) != 0 {
				t.Errorf("failures: %q", i.failures)
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
			t.Errorf("%s would stay for ever if the run were killed", n)
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
	i := &fakeT{TB: t}
	go i.run(func() { got <- dbPath(testenv.NewRedis(i)) })
	for server.CommandCount() < before+10 { // it asks again and again
		select {
		case n := <-got:
			t.Fatalf("it got %s while another test has it", n)
		default:
			runtime.Gosched()
		}
	}
	first.finish()
	if n := <-got; n != "/1" {
		t.Errorf("it got %s", n)
	}
	i.finish()
}

func TestLease_LostLock(t *testing.T) {
	server := sharedServer(t, "/")
	i, _ := leaseRedis(t)
	server.Set("wxlogin:test:db:1", "another test's")
	server.DB(1).Set("theirs", "1")
	i.finish()
	if got, _ := server.DB(1).Get("theirs"); got != "1" {
		t.Error("it was emptied")
	}
	if got, _ := server.Get("wxlogin:test:db:1"); got != "another test's" {
		t.Error("the lock of the other was taken away")
	}
	if len(i.failures) != 1 || !strings.Contains(i.failures[0], "lock was lost") {
		t.Errorf("failures: %q", i.failures)
	}
}

func TestLease_UnreadableURL(t *testing.T) {
	t.Setenv("TEST_REDIS_URL", "http://:hidden@127.0.0.1")
	for _, mode := range []string{"", "cluster"} {
		t.Setenv("TEST_REDIS_MODE", mode)
		i, _ := leaseRedis(t)
		if len(i.failures) != 1 || strings.Contains(i.failures[0], "hidden") {
			t.Errorf("mode %q: failures: %q", mode, i.failures)
		}
	}
}
