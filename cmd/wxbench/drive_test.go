package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// echo answers with what it is sent, and 503 for "full".
func echo(t *testing.T, asked *atomic.Int64) (addr string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		body, _ := io.ReadAll(r.Body)
		if string(body) == "full" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		w.Write(body)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func request(body string) []byte {
	return fmt.Appendf(nil, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

func TestDrive_sends_each_request_once(t *testing.T) {
	var asked atomic.Int64
	requests := make([][]byte, 100)
	for i := range requests {
		requests[i] = request(fmt.Sprint("number ", i))
	}
	bodies := make([]string, len(requests))
	took, err := phones{connections: 7, pause: time.Microsecond}.drive(t.Context(), echo(t, &asked), requests, func(i int, body []byte) { bodies[i] = string(body) })
	if err != nil || asked.Load() != 100 || len(took) != 100 {
		t.Fatalf("%d times, %d asked, %v", len(took), asked.Load(), err)
	}
	for i, body := range bodies {
		if body != fmt.Sprint("number ", i) || took[i] <= 0 {
			t.Errorf("request %d took %v: %q", i, took[i], body)
		}
	}
}

func TestDrive_ends_with_the_first_refusal(t *testing.T) {
	var asked atomic.Int64
	requests := [][]byte{request("a"), request("full"), request("b"), request("c")}
	_, err := phones{connections: 1}.drive(t.Context(), echo(t, &asked), requests, nil)
	if err == nil || !strings.Contains(err.Error(), "the server answers 503: full") || asked.Load() != 2 {
		t.Errorf("%v, %d asked", err, asked.Load())
	}
}

func TestInParallel(t *testing.T) {
	var sum atomic.Int64
	if err := inParallel(1000, func(i int) error { sum.Add(int64(i)); return nil }); err != nil || sum.Load() != 499500 {
		t.Errorf("%d, %v", sum.Load(), err)
	}
	fault := errors.New("at 10")
	if err := inParallel(1000, func(i int) error {
		if i == 10 {
			return fault
		}
		return nil
	}); !errors.Is(err, fault) {
		t.Errorf("%v", err)
	}
}

func TestQuantile(t *testing.T) {
	times := make([]time.Duration, 100)
	for i := range times {
		times[i] = time.Duration(i)
	}
	for q, want := range map[float64]time.Duration{0: 0, .5: 50, .99: 99, 1: 99} {
		if got := quantile(times, q); got != want {
			t.Errorf("%v: %d, want %d", q, got, want)
		}
	}
}
