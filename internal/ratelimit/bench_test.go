package ratelimit_test

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/internal/ratelimit"
)

// BenchmarkLimiter measures Allow.
func BenchmarkLimiter(b *testing.B) {
	f := newFixture(b)
	b.ReportAllocs()
	limiter := f.Limiter("login", 6000)
	for b.Loop() {
		limiter.Allow("192.0.2.77")
	}
}

// BenchmarkLimiter_parallel measures Allow for many keys at once, while they are flushed.
func BenchmarkLimiter_parallel(b *testing.B) {
	f := newFixture(b).running(b)
	keys := benchmarkKeys(1 << 14)
	limiter := f.Limiter("login", 6000)
	var n atomic.Uint64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			limiter.Allow(keys[n.Add(1)%uint64(len(keys))])
		}
	})
}

// BenchmarkLimiter_Reserve measures Reserve and Release.
func BenchmarkLimiter_Reserve(b *testing.B) {
	limiter := newFixture(b).Limiter("failures", 10)
	b.ReportAllocs()
	for b.Loop() {
		r, ok := limiter.Reserve("wx0123456789abcdef:o0123456789abcdefghijklmnopq")
		if !ok {
			b.Fatal("refused")
		}
		r.Release()
	}
}

// BenchmarkCounter_flush measures a flush of 500 keys that were counted before.
func BenchmarkCounter_flush(b *testing.B) {
	f := newFixture(b)
	keys := benchmarkKeys(500)
	b.ReportAllocs()
	for b.Loop() {
		for _, key := range keys {
			f.count(b, key, 1)
		}
		f.Flush()
	}
	if f.Degraded() {
		b.Error("Redis is away")
	}
}

// BenchmarkCounter_memory measures the memory of a key that is counted in one window or in two.
func BenchmarkCounter_memory(b *testing.B) {
	keys := benchmarkKeys(1_000_000)
	for name, starts := range map[string][]time.Time{"one window": {current}, "two windows": {previous, current}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				measureMemory(b, keys, starts)
			}
		})
	}
}

func measureMemory(b *testing.B, keys []string, starts []time.Time) {
	client := redis.NewClient(&redis.Options{})
	defer client.Close()
	client.AddHook(yes{})
	empty := heap()
	var now time.Time
	c := ratelimit.NewByHand(ratelimit.Options{
		Redis: client, Prefix: prefix, Window: window, Timeout: time.Minute, Now: func() time.Time { return now },
	})
	limiter := c.Unlimited("login")
	for _, now = range starts {
		for n, key := range keys {
			limiter.Allow(key)
			if n%ratelimit.BatchSize == 0 {
				c.Flush()
			}
		}
	}
	b.ReportMetric(float64(heap()-empty)/float64(len(keys)), "B/key")
	if err := c.Close(); err != nil {
		b.Error(err)
	}
}

// yes is a Redis that replies 0 to everything.
type yes struct{}

func (yes) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (yes) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (yes) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(context.Context, []redis.Cmder) error { return nil }
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func benchmarkKeys(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&0xff, i&0xff)
	}
	return keys
}
