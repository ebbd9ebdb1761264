package redistest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"wxlogin/internal/testenv"
	"wxlogin/internal/testenv/redistest"
)

func TestRedis(t *testing.T) {
	for name, start := range map[string]func(testing.TB) *redistest.Redis{"New": redistest.New, "NewServer": redistest.NewServer} {
		t.Run(name+" dumps", func(t *testing.T) { testDump(t, start(t)) })
		t.Run(name+" fast-forwards", func(t *testing.T) { testFastForward(t, start(t)) })
	}
}

func TestRedis_shared(t *testing.T) {
	for name, start := range map[string]func(*testing.T){
		"server":  func(t *testing.T) { share(t, "redis://"+miniredis.RunT(t).Addr()+"/7?max_retries=2", "") },
		"Cluster": func(t *testing.T) { share(t, redistest.RunCluster(t).URL(), "cluster") },
	} {
		t.Run(name, func(t *testing.T) {
			start(t)
			t.Run("dumps", func(t *testing.T) { testDump(t, redistest.New(t)) })
			t.Run("fast-forwards", func(t *testing.T) { testFastForward(t, redistest.New(t)) })
			t.Run("sees and deletes its own keys alone", testOwnKeys)
		})
	}
}

func share(t *testing.T, url, mode string) {
	t.Setenv("TEST_REDIS_URL", url)
	t.Setenv("TEST_REDIS_MODE", mode)
	t.Setenv("TEST_REDIS_USER", "")
}

func testDump(t *testing.T, r *redistest.Redis) {
	if d := r.Dump(t); len(d) != 0 {
		t.Fatalf("not empty at the start: %q", d)
	}
	ctx, p := t.Context(), r.Prefix
	r.Client.Set(ctx, p+"string", "a b\x00c", 0)
	r.Client.RPush(ctx, p+"list", "b", "a")
	r.Client.SAdd(ctx, p+"set", "b", "a")
	r.Client.HSet(ctx, p+"hash", "f", "1", "e", "2")
	r.Client.ZAdd(ctx, p+"zset", redis.Z{Score: 1754006400123, Member: "later"}, redis.Z{Score: 1.5, Member: "early"})
	want := map[string]string{
		p + "string": "a b\x00c",
		p + "list":   "list",
		p + "set":    "set",
		p + "hash":   "hash",
		p + "zset":   "early=1.5 later=1754006400123",
	}
	if got := r.Dump(t); !maps.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func testFastForward(t *testing.T, r *redistest.Redis) {
	ctx, p := t.Context(), r.Prefix
	r.Client.Set(ctx, p+"hour", 1, time.Hour)
	r.Client.SAdd(ctx, p+"day", 1)
	r.Client.PExpire(ctx, p+"day", 24*time.Hour)
	r.Client.Set(ctx, p+"ever", 1, 0)

	r.FastForward(t, 59*time.Minute)
	if left := r.TTL(t, p+"hour"); left > time.Minute || left < 30*time.Second {
		t.Errorf("%v of the hour left, want a minute", left)
	}
	r.FastForward(t, time.Minute)
	for key, want := range map[string]time.Duration{"hour": -2, "ever": -1} {
		if left := r.TTL(t, p+key); left != want {
			t.Errorf("%s has %d left, want %d", key, left, want)
		}
	}
	if left := r.TTL(t, p+"day"); left > 23*time.Hour || left < 22*time.Hour {
		t.Errorf("%v of the day left, want 23 hours", left)
	}
}

func testOwnKeys(t *testing.T) {
	outer := redistest.New(t)
	ctx, foreign := t.Context(), "wxlogin:session:theirs"
	outer.Client.Set(ctx, foreign, 1, time.Hour)
	outer.Client.Set(ctx, outer.Prefix+"key", 1, 0)
	var deleted []string
	t.Run("inner", func(t *testing.T) {
		inner := redistest.New(t)
		if d := inner.Dump(t); len(d) != 0 {
			t.Errorf("not empty at the start: %q", d)
		}
		for n := range 20 { // some on every node
			deleted = append(deleted, fmt.Sprint(inner.Prefix, n))
			inner.Client.Set(ctx, deleted[n], 1, 0)
		}
		if d := inner.Dump(t); len(d) != 20 {
			t.Errorf("%d keys, want its own 20", len(d))
		}
		inner.FastForward(t, 2*time.Hour)
	})
	for _, key := range deleted {
		if outer.Client.Exists(ctx, key).Val() != 0 {
			t.Errorf("%s is left", key)
		}
	}
	other := outer.NewClient(t)
	if other.Exists(ctx, foreign).Val() != 1 || other.TTL(ctx, foreign).Val() < time.Minute {
		t.Error("another's key was deleted or has expired")
	}
	if d := outer.Dump(t); len(d) != 1 || !strings.HasPrefix(outer.Prefix, "wxlogin:") {
		t.Errorf("%d keys of the other test with the prefix %q", len(d), outer.Prefix)
	}
}

func TestRedis_Dump_embedded(t *testing.T) {
	t.Setenv("TEST_REDIS_URL", "")
	r := redistest.New(t)
	r.Client.Set(t.Context(), "another", 1, 0)
	if d := r.Dump(t); len(d) != 1 {
		t.Errorf("got %q, want the key without a prefix", d)
	}
}

func TestNewServer_separate(t *testing.T) {
	a, b := redistest.NewServer(t), redistest.NewServer(t)
	a.Client.Set(t.Context(), "key", 1, 0)
	if d := b.Dump(t); len(d) != 0 {
		t.Errorf("the other server holds %q", d)
	}
	o, err := redis.ParseURL(a.URL)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(o)
	defer client.Close()
	if client.Exists(t.Context(), "key").Val() != 1 {
		t.Error("the URL is of another server")
	}
}

// failing is a test within a test. It records why it fails.
type failing struct {
	testing.TB
	failure string
}

func (f *failing) Fatal(args ...any) {
	f.failure = fmt.Sprint(args...)
	runtime.Goexit()
}

func TestNew_unreadableURL(t *testing.T) {
	for _, mode := range []string{"", "cluster"} {
		share(t, "http://:hidden@127.0.0.1", mode)
		f, done := &failing{TB: t}, make(chan struct{})
		go func() { defer close(done); redistest.New(f) }()
		<-done
		if f.failure == "" || strings.Contains(f.failure, "hidden") {
			t.Errorf("mode %q: the failure is %q", mode, f.failure)
		}
	}
}

// A run of tests that is killed takes its servers along. This test runs itself to be killed.
func TestRunServer_killed(t *testing.T) {
	const toBeKilled = "TEST_REDIS_TO_BE_KILLED"
	server := redistest.RunServer(t)
	if os.Getenv(toBeKilled) != "" {
		fmt.Println(server.Addr)
		select {}
	}
	run := exec.Command(os.Args[0], "-test.run=^TestRunServer_killed$")
	run.Env = append(os.Environ(), toBeKilled+"=1", "TMPDIR="+t.TempDir())
	out, err := run.StdoutPipe()
	if err == nil {
		err = run.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	addr, err := bufio.NewReader(out).ReadString('\n')
	run.Process.Kill()
	run.Wait()
	if err != nil {
		t.Fatal(err)
	}
	err = testenv.Poll(t.Context(), 10*time.Second, func(context.Context) error {
		c, err := net.Dial("tcp", strings.TrimSpace(addr))
		if err != nil {
			return nil
		}
		c.Close()
		return errors.New("the server still runs")
	})
	if err != nil {
		t.Error(err)
	}
}
