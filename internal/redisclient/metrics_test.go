package redisclient_test

import (
	"bufio"
	"errors"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"wxlogin/internal/redisclient"
)

// silentRedis reads commands and replies to none. It adds up the counts of INCRBY.
type silentRedis struct {
	net.Listener
	counted atomic.Int64
}

func newSilentRedis(t *testing.T) *silentRedis {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &silentRedis{Listener: l}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			go s.read(c)
		}
	}()
	return s
}

// read replies to HELLO only.
func (s *silentRedis) read(c net.Conn) {
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
			s.counted.Add(int64(n))
		}
	}
}

// A count that may have arrived is not sent again. A Redis that hangs does not delay a request, and Close only briefly.
func TestNew_NoRetry(t *testing.T) {
	s := newSilentRedis(t)
	client := newClient(t, failFastOptions(redisclient.Options{URL: "redis://" + s.Addr().String() + "?max_retries=5&read_timeout=60s"}))
	counter := newCounter(client, failFastTimeout, slog.New(slog.DiscardHandler))
	counter.Limiter("test", 10).Allow("a")
	waitUntil(t, "the counter does not time out", counter.Degraded)
	begin := time.Now()
	if err := counter.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 4*failFastTimeout { // the machine is busy
		t.Errorf("Close took %v", took)
	}
	if n := s.counted.Load(); n != 1 {
		t.Errorf("%d INCRBY have arrived, want 1", n)
	}
	if counter.Limiter("test", 1).Allow("a") || !counter.Degraded() {
		t.Errorf("not counted locally, or degraded is %v", counter.Degraded())
	}
}

// The metrics must not hang if Redis does.
func TestPoolStats_SilentRedis(t *testing.T) {
	s := newSilentRedis(t)
	for mode, options := range map[string]string{redisclient.Single: "?pool_size=7", redisclient.Cluster: "?pool_size=7&pipeline_pool_size=2"} {
		t.Run(mode, func(t *testing.T) {
			client := newClient(t, redisclient.Options{URL: "redis://" + s.Addr().String() + options, Mode: mode})
			limit := map[string]int{redisclient.Single: 7, redisclient.Cluster: 9}[mode]
			begin := time.Now()
			if got := redisclient.PoolStatsOf(client)(); got.Limit != limit || got.InUse != 0 {
				t.Errorf("%+v, want a limit of %d", got, limit)
			}
			if _, err := redisclient.DBSize(t.Context(), client); err == nil {
				t.Error("DBSize returns no error")
			}
			if took := time.Since(begin); took > 4*redisclient.DefaultTimeout {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// One connection is in use, and one wait for a connection times out.
func TestPoolStats(t *testing.T) {
	s := newSilentRedis(t)
	client := newClient(t, redisclient.Options{
		URL: "redis://" + s.Addr().String() + "?pool_size=1&pool_timeout=10ms&read_timeout=60s&max_retries=-1",
	})
	stats := redisclient.PoolStatsOf(client)
	done := make(chan error)
	go func() { done <- client.Get(t.Context(), "x").Err() }()
	waitUntil(t, "no connection is in use", func() bool { return stats().InUse == 1 })
	if err := client.Get(t.Context(), "y").Err(); err == nil {
		t.Error("there was a second connection")
	}
	if got, want := stats(), (redisclient.PoolStats{InUse: 1, Limit: 1, TimedOut: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	s.Close()
	client.Close()
	<-done
}
