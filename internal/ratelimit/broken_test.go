package ratelimit_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/internal/ratelimit"
)

// broken is a Redis, or a Cluster of one node, that does not reply to INCRBY: it closes the connection or hangs.
type broken struct {
	net.Listener
	hangs bool
	sum   atomic.Int64 // over all INCRBYs received

	mu    sync.Mutex
	conns []net.Conn
	group sync.WaitGroup
}

func newBroken(t *testing.T, hangs bool) *broken {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &broken{Listener: l, hangs: hangs}
	b.group.Go(b.accept)
	t.Cleanup(func() {
		l.Close()
		b.mu.Lock()
		for _, c := range b.conns {
			c.Close()
		}
		b.mu.Unlock()
		b.group.Wait()
	})
	return b
}

func (b *broken) accept() {
	for {
		c, err := b.Accept()
		if err != nil {
			return
		}
		b.mu.Lock()
		b.conns = append(b.conns, c)
		b.mu.Unlock()
		b.group.Go(func() { b.serve(c) })
	}
}

// serve reads a whole pipeline before it closes the connection.
func (b *broken) serve(c net.Conn) {
	defer c.Close()
	counted := false
	for r := bufio.NewReader(c); b.hangs || !counted || r.Buffered() > 0; {
		command, err := readCommand(r)
		if err != nil {
			return
		}
		if command[0] == "incrby" {
			counted = true
			n, _ := strconv.Atoi(command[2])
			b.sum.Add(int64(n))
		}
		if counted {
			continue
		}
		if _, err := io.WriteString(c, b.answer(command[0])); err != nil {
			return
		}
	}
}

func (b *broken) answer(command string) string {
	switch command {
	case "hello", "command":
		return "-ERR unknown command\r\n"
	case "cluster": // SLOTS
		host, port, _ := net.SplitHostPort(b.Addr().String())
		return fmt.Sprintf("*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$%d\r\n%s\r\n:%s\r\n$1\r\nx\r\n", len(host), host, port)
	}
	return "+OK\r\n"
}

// readCommand reads "*2", "$4", "ping" and so on.
func readCommand(r *bufio.Reader) (words []string, err error) {
	var n, length int
	if _, err := fmt.Fscanf(r, "*%d\r\n", &n); err != nil {
		return nil, err
	}
	for range n {
		if _, err := fmt.Fscanf(r, "$%d\r\n", &length); err != nil {
			return nil, err
		}
		word := make([]byte, length+2)
		if _, err := io.ReadFull(r, word); err != nil {
			return nil, err
		}
		words = append(words, strings.ToLower(string(word[:length])))
	}
	return words, nil
}

// A client that retries a failed pipeline must not repeat an INCRBY.
func TestCounter_RetryingClient(t *testing.T) {
	for name, open := range map[string]func(address string) redis.UniversalClient{
		"single": func(address string) redis.UniversalClient {
			return redis.NewClient(&redis.Options{Addr: address, MaxRetries: 3})
		},
		"cluster": func(address string) redis.UniversalClient {
			return redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{address}, MaxRedirects: 3, DisableRoutingPolicies: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := newBroken(t, false)
			client := open(server.Addr().String())
			defer client.Close()
			c := ratelimit.NewByHand(ratelimit.Options{Redis: client, Prefix: prefix, Window: window, Timeout: 5 * time.Second})
			defer c.Close()
			limiter := c.Unlimited("test")
			for _, key := range []string{"a", "b"} {
				for range 10 {
					limiter.Allow(key)
				}
			}
			c.Flush()
			c.Flush()
			if sum := server.sum.Load(); sum != 20 || !c.Degraded() {
				t.Errorf("%d have arrived, want 20; degraded %v", sum, c.Degraded())
			}
		})
	}
}

// If Redis hangs, neither counting nor Close waits for it.
func TestCounter_CloseTimeout(t *testing.T) {
	server := newBroken(t, true)
	client := redis.NewClient(&redis.Options{Addr: server.Addr().String(), MaxRetries: -1, ContextTimeoutEnabled: true})
	defer client.Close()
	away := make(chan bool, 1)
	c := ratelimit.New(ratelimit.Options{
		Redis: client, Prefix: prefix, Window: window, Timeout: 500 * time.Millisecond, FlushInterval: time.Millisecond,
		Now:        func() time.Time { return current },
		OnDegraded: func(bool) { away <- true },
	})
	limiter := c.Unlimited("test")
	limiter.Allow("a")
	<-away
	for n := range 10 * ratelimit.BatchSize {
		limiter.Allow(fmt.Sprint(n))
	}
	begin := time.Now()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("it waited %v", took)
	}
	if now, _ := limiter.Counts("a", current); now != 1 || !c.Degraded() || server.sum.Load() != 1 {
		t.Errorf("%d here, %d there, degraded %v; want 1 and 1", now, server.sum.Load(), c.Degraded())
	}
}

func TestCounter_Close(t *testing.T) {
	t.Run("sends the pending counts", func(t *testing.T) {
		f := newFixture(t)
		const keys = 700
		for n := range keys {
			f.count(t, fmt.Sprint(n), 2)
		}
		f.close(t)
		if sum := f.sum(t); sum != 2*keys {
			t.Errorf("%d in Redis, want %d", sum, 2*keys)
		}
		f.wantKeys(t, keys)
		f.wantChanges(t)
	})

	// A limiter may be used while the server shuts down.
	t.Run("leaves the limiters usable in this process", func(t *testing.T) {
		f := newFixture(t).running(t)
		for range 2 {
			f.close(t)
		}
		f.count(t, "a", 2)
		f.want(t, "a", 2, 0)
		f.close(t)
		if pipelines, commands := f.server.received(); pipelines != 0 {
			t.Errorf("Redis got commands: %v", commands)
		}
		f.wantChanges(t)
	})

	// Pending counts are sent if Redis is back, and nothing is sent afterwards.
	t.Run("sends the pending counts if Redis is back", func(t *testing.T) {
		for name, back := range map[string]bool{"still": false, "no more": true} {
			t.Run(name, func(t *testing.T) {
				f := newFixture(t)
				f.server.away.Store(true)
				f.count(t, "a", 1)
				f.Flush()
				f.wantChanges(t, true)
				f.count(t, "a", 2)
				f.server.away.Store(!back)
				f.close(t)
				f.want(t, "a", 3, 0)
				f.server.received()
				f.count(t, "a", 1)
				f.close(t)
				if pipelines, _ := f.server.received(); pipelines != 0 {
					t.Error("Redis was asked after Close")
				}
				want, changes := 0, []bool(nil)
				if back {
					want, changes = 2, []bool{false}
				}
				if sum := f.sum(t); sum != want {
					t.Errorf("%d in Redis, want %d", sum, want)
				}
				f.wantChanges(t, changes...)
			})
		}
	})
}
