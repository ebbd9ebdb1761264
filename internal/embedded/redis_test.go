package embedded_test

import (
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/internal/embedded"
)

func startRedis(t *testing.T) (*embedded.Redis, *redis.Client) {
	t.Helper()
	r, err := embedded.StartRedis(embedded.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	o, err := redis.ParseURL(r.URL())
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(o)
	t.Cleanup(func() { client.Close() })
	return r, client
}

func TestRedis_Expiry(t *testing.T) {
	_, client := startRedis(t)
	if err := client.Set(t.Context(), "soon", 1, 30*time.Millisecond).Err(); err != nil {
		t.Fatal(err)
	}
	client.Set(t.Context(), "later", 1, time.Hour)
	eventually(t, "the key expires", func() bool { return client.Exists(t.Context(), "soon").Val() == 0 })
	if left := client.PTTL(t.Context(), "later").Val(); left <= time.Hour-time.Minute || left >= time.Hour {
		t.Errorf("the other key has %v left", left)
	}
}

func TestRedis_FastForward(t *testing.T) {
	r, client := startRedis(t)
	client.Set(t.Context(), "day", 1, 24*time.Hour)
	client.Set(t.Context(), "ever", 1, 0)
	r.FastForward(23 * time.Hour)
	if n := client.Exists(t.Context(), "day", "ever").Val(); n != 2 {
		t.Errorf("%d keys after 23 hours, want 2", n)
	}
	r.FastForward(time.Hour)
	if keys := client.Keys(t.Context(), "*").Val(); len(keys) != 1 || keys[0] != "ever" {
		t.Errorf("after a day: %q", keys)
	}
}

func TestRedis_StartAndClose(t *testing.T) {
	r, _ := startRedis(t)
	if _, err := embedded.StartRedis(embedded.RedisOptions{Addr: r.Addr()}); err == nil {
		t.Error("a second server starts on the same address")
	}
	if _, err := embedded.StartRedis(embedded.RedisOptions{Addr: "0.0.0.0:0"}); err == nil {
		t.Error("it listens on a public address")
	}
	for range 2 {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if c, err := net.Dial("tcp", r.Addr()); err == nil {
		c.Close()
		t.Error("still listening after Close")
	}
}
