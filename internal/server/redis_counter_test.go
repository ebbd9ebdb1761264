package server

import (
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/handlers"
	"wxlogin/session"
)

// mute is a Redis that reads commands and answers none. It sums up what was to be counted.
type mute struct {
	net.Listener
	counted atomic.Int64
}

func newMute(t *testing.T) *mute {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &mute{Listener: l}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			go m.read(c)
		}
	}()
	return m
}

// read greets, and is silent then.
func (m *mute) read(c net.Conn) {
	defer c.Close()
	for lines := bufio.NewScanner(c); lines.Scan(); {
		switch strings.ToLower(lines.Text()) {
		case "hello":
			if _, err := c.Write([]byte("-ERR unknown command 'hello'\r\n")); err != nil {
				return
			}
		case "incrby":
			for range 4 { // "$7", the key, "$1", the amount
				lines.Scan()
			}
			n, _ := strconv.Atoi(lines.Text())
			m.counted.Add(int64(n))
		}
	}
}

// A count that may have arrived is not sent again, and a Redis that hangs costs a request nothing, and the end a short wait.
func TestCounter_hanging_Redis_is_asked_once(t *testing.T) {
	m := newMute(t)
	client, err := openCounterRedis(Config{RedisURL: "redis://" + m.Addr().String() + "?max_retries=5&read_timeout=60s"})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	counter := newCounter(client, counterTimeout, slog.New(slog.DiscardHandler))
	counter.Limiter("test", 10).Allow("a")
	for deadline := time.Now().Add(10 * time.Second); !counter.Degraded(); pause(t.Context(), time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not give up")
		}
	}
	begin := time.Now()
	if err := counter.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 4*counterTimeout { // the machine is busy
		t.Errorf("the end took %v", took)
	}
	if n := m.counted.Load(); n != 1 {
		t.Errorf("%d have arrived, want 1", n)
	}
	if counter.Limiter("test", 1).Allow("a") || !counter.Degraded() {
		t.Errorf("it is not counted here, or degraded is %v", counter.Degraded())
	}
}

// countKey is where the count of a key in a window stands.
func countKey(key string, window time.Time) string {
	hash := sha256.Sum256([]byte(key))
	return fmt.Sprintf("%srate:{%s}:%d", session.DefaultKeyPrefix, base64.RawURLEncoding.EncodeToString(hash[:12]), window.Unix())
}

// waitForCount waits until Redis has counted as often as it should, in the window that began at window and the next.
func waitForCount(t *testing.T, client redis.UniversalClient, key string, window time.Time, want int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; pause(t.Context(), time.Millisecond) {
		n, _ := client.Get(t.Context(), countKey(key, window)).Int()
		more, _ := client.Get(t.Context(), countKey(key, window.Add(handlers.RateWindow))).Int()
		if n+more == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d is counted in Redis, want %d", n+more, want)
		}
	}
}

// The metrics must not hang with a Redis that does.
func TestRedisMetrics_of_a_hanging_Redis(t *testing.T) {
	m := newMute(t)
	for mode, options := range map[string]string{redisSingle: "?pool_size=7", redisCluster: "?pool_size=7&pipeline_pool_size=2"} {
		t.Run(mode, func(t *testing.T) {
			client, err := openRedis(Config{RedisURL: "redis://" + m.Addr().String() + options, Redis: RedisConfig{Mode: mode}})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			limit := map[string]int{redisSingle: 7, redisCluster: 9}[mode]
			begin := time.Now()
			if got := redisPoolOf(client)(); got.limit != limit || got.inUse != 0 {
				t.Errorf("%+v, want a limit of %d", got, limit)
			}
			if _, err := dbSize(t.Context(), client); err == nil {
				t.Error("it tells a number of keys")
			}
			if took := time.Since(begin); took > 4*redisTimeout {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// A connection that is at work, one that waits for work, and a wait that was given up.
func TestRedisMetrics_of_the_pool(t *testing.T) {
	m := newMute(t)
	client, err := openRedis(Config{
		RedisURL: "redis://" + m.Addr().String() + "?pool_size=1&pool_timeout=10ms&read_timeout=60s&max_retries=-1",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	stats := redisPoolOf(client)
	done := make(chan error)
	go func() { done <- client.Get(t.Context(), "x").Err() }()
	for stats().inUse != 1 {
		pause(t.Context(), time.Millisecond)
	}
	if err := client.Get(t.Context(), "y").Err(); err == nil {
		t.Error("there was a second connection")
	}
	if got, want := stats(), (redisPool{inUse: 1, limit: 1, timedOut: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	m.Close()
	client.Close()
	<-done
}
