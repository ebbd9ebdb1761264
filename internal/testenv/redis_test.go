package testenv_test

import (
	"maps"
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/internal/testenv"
)

func TestRedis_Dump(t *testing.T) {
	r := testenv.NewRedis(t)
	if d := r.Dump(t); len(d) != 0 {
		t.Fatalf("not empty at the start: %q", d)
	}
	ctx := t.Context()
	r.Client.Set(ctx, "string", "a b\x00c", 0)
	r.Client.RPush(ctx, "list", "b", "a")
	r.Client.SAdd(ctx, "set", "b", "a")
	r.Client.HSet(ctx, "hash", "f", "1", "e", "2")
	r.Client.ZAdd(ctx, "zset", redis.Z{Score: 1754006400123, Member: "later"}, redis.Z{Score: 1.5, Member: "early"})
	want := map[string]string{
		"string": "a b\x00c",
		"list":   "b a",
		"set":    "a b",
		"hash":   "e=2 f=1",
		"zset":   "early=1.5 later=1754006400123",
	}
	if got := r.Dump(t); !maps.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestRedis_FastForward(t *testing.T) {
	r := testenv.NewRedis(t)
	ctx := t.Context()
	r.Client.Set(ctx, "hour", 1, time.Hour)
	r.Client.SAdd(ctx, "day", 1)
	r.Client.PExpire(ctx, "day", 24*time.Hour)
	r.Client.Set(ctx, "ever", 1, 0)

	r.FastForward(t, 59*time.Minute)
	if left := r.TTL(t, "hour"); left > time.Minute || left < 30*time.Second {
		t.Errorf("%v of the hour left, want a minute", left)
	}
	r.FastForward(t, time.Minute)
	for key, want := range map[string]time.Duration{"hour": -2, "ever": -1} {
		if left := r.TTL(t, key); left != want {
			t.Errorf("%s has %d left, want %d", key, left, want)
		}
	}
	if left := r.TTL(t, "day"); left > 23*time.Hour || left < 22*time.Hour {
		t.Errorf("%v of the day left, want 23 hours", left)
	}
}

func TestNewRedis_SeparateDatabases(t *testing.T) {
	if os.Getenv("TEST_REDIS_MODE") == "cluster" {
		t.Skip("a Cluster has one database")
	}
	a, b := testenv.NewRedis(t), testenv.NewRedis(t)
	a.Client.Set(t.Context(), "key", 1, 0)
	if d := b.Dump(t); len(d) != 0 {
		t.Errorf("the other database holds %q", d)
	}
	o, err := redis.ParseURL(a.URL)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(o)
	defer client.Close()
	if client.Exists(t.Context(), "key").Val() != 1 {
		t.Error("the URL is of another database")
	}
}
