package demopage

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/internal/testenv/redistest"
)

func newStorage(t *testing.T) Storage {
	t.Helper()
	options, err := redis.ParseURL(redistest.NewServer(t).URL)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { client.Close() })
	return Storage{Redis: client}
}

func TestStorage_Keys(t *testing.T) {
	// A key may be read between the commands that set its value and its TTL.
	t.Run("waits for the TTL of a new key", func(t *testing.T) {
		name := indexKey("wx0", "o0")
		storage := newStorage(t)
		if err := storage.Redis.ZAdd(t.Context(), name, redis.Z{Member: "hash"}).Err(); err != nil {
			t.Fatal(err)
		}
		expireErr := make(chan error, 1)
		go func() { expireErr <- storage.Redis.PExpire(t.Context(), name, time.Hour).Err() }()
		keys, err := storage.Keys(t.Context(), "*")
		if err != nil || len(keys) != 1 || keys[0].Name != name || keys[0].TTL <= 0 || keys[0].TTL > time.Hour {
			t.Errorf("%v, %v", keys, err)
		}
		if err := <-expireErr; err != nil {
			t.Error(err)
		}
	})

	t.Run("fails for a key that never expires", func(t *testing.T) {
		storage := newStorage(t)
		if err := storage.Redis.Set(t.Context(), sessionPrefix+"hash", "sealed", 0).Err(); err != nil {
			t.Fatal(err)
		}
		if keys, err := storage.Keys(t.Context(), "*"); err == nil {
			t.Errorf("no error, but %v", keys)
		}
	})
}
