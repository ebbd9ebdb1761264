package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// requestTimeout bounds one request: the benchmark has broken down where one takes so long.
const requestTimeout = 20 * time.Second

// phones are connections that send requests, each its next one a pause after its last answer.
type phones struct {
	connections int
	pause       time.Duration
}

// drive sends requests, and gives each request's time. Anything but 200 ends it with an error. Where keep is given it gets
// every answer's body, side by side.
func (p phones) drive(ctx context.Context, addr string, requests [][]byte, keep func(i int, body []byte)) ([]time.Duration, error) {
	took := make([]time.Duration, len(requests))
	var next atomic.Int64
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for range min(p.connections, len(requests)) {
		wg.Go(func() {
			if err := p.driveOne(ctx, addr, requests, took, &next, keep); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return took, context.Cause(ctx)
}

// driveOne is one of the connections. It writes whole requests and reads answers without an HTTP client in between, which
// would take as much of the machine as the server does.
func (p phones) driveOne(ctx context.Context, addr string, requests [][]byte, took []time.Duration, next *atomic.Int64, keep func(int, []byte)) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	for wait(ctx, time.Duration(rand.Float64()*float64(p.pause))); ctx.Err() == nil; wait(ctx, p.pause) {
		i := int(next.Add(1)) - 1
		if i >= len(requests) {
			return nil
		}
		begin := time.Now()
		if err := conn.SetDeadline(begin.Add(requestTimeout)); err != nil {
			return err
		}
		if _, err := conn.Write(requests[i]); err != nil {
			return err
		}
		body, err := readAnswer(answers)
		if err != nil {
			return err
		}
		took[i] = time.Since(begin)
		if keep != nil {
			keep(i, body)
		}
	}
	return nil
}

// wait waits for d, or until ctx ends.
func wait(ctx context.Context, d time.Duration) {
	if d == 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func readAnswer(from *bufio.Reader) ([]byte, error) {
	resp, err := http.ReadResponse(from, nil)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("the server answers %d: %s", resp.StatusCode, bytes.TrimSpace(body))
	}
	return body, errors.Join(err, resp.Body.Close())
}

// quantile of times that are sorted.
func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// inParallel does a job for each number below n, some of them at a time.
func inParallel(n int, job func(i int) error) error {
	var next atomic.Int64
	errs := make([]error, 32)
	var wg sync.WaitGroup
	for worker := range errs {
		wg.Go(func() {
			for errs[worker] == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				errs[worker] = job(i)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
