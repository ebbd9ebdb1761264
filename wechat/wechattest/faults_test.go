package wechattest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"wxlogin/wechat/wechattest"
)

func TestSimulator_Fail(t *testing.T) {
	t.Run("errcodes in order, without spending the code", func(t *testing.T) {
		sim := newSimulator(wechattest.Options{})
		code := sim.Device(appA, wechattest.User{Name: "alice"}).Login()
		sim.Fail(wechattest.Busy, wechattest.RateLimited)
		sim.Fail(wechattest.Blocked, wechattest.ErrCode(40164), wechattest.ErrCode(99999))
		for _, want := range []int{-1, 45011, 40226, 40164, 99999, 0, 40163} {
			if got, _ := exchange(t, sim, query(appA, secretA, code)); got.ErrCode != want {
				t.Errorf("errcode %d, want %d", got.ErrCode, want)
			}
		}
	})

	t.Run("over the network", func(t *testing.T) {
		tests := map[wechattest.Fault]struct {
			status int // 0: the connection is closed
			spent  bool
		}{
			wechattest.Dropped:      {0, false},
			wechattest.DroppedAfter: {0, true},
			wechattest.BadGateway:   {502, false},
			wechattest.BrokenJSON:   {200, false},
		}
		for fault, test := range tests {
			t.Run(string(fault), func(t *testing.T) {
				sim := newSimulator(wechattest.Options{})
				server := httptest.NewServer(sim)
				defer server.Close()
				code := sim.Device(appA, wechattest.User{Name: "alice"}).Login()
				sim.Fail(fault)
				status := get(t, server.URL+"/sns/jscode2session?"+query(appA, secretA, code).Encode())
				if status != test.status {
					t.Errorf("HTTP status %d, want %d", status, test.status)
				}
				want := 0
				if test.spent {
					want = 40163
				}
				if got, _ := exchange(t, sim, query(appA, secretA, code)); got.ErrCode != want {
					t.Errorf("the next exchange returns %d, want %d", got.ErrCode, want)
				}
				if s := sim.Stats(); s.Calls != 2 || s.Exchanged != 1 {
					t.Errorf("stats %+v", s)
				}
			})
		}
	})
}

// get returns the HTTP status, 0 if there was no response.
func get(t *testing.T, target string) int {
	t.Helper()
	resp, err := http.Get(target)
	if err != nil {
		if !errors.Is(err, io.EOF) {
			t.Errorf("got %T, want the end of the connection", errors.Unwrap(err))
		}
		return 0
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

func TestSlow(t *testing.T) {
	t.Run("delays the response, like Latency", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			sim := newSimulator(wechattest.Options{Latency: 80 * time.Millisecond})
			code := sim.Device(appA, wechattest.User{Name: "alice"}).Login()
			sim.Fail(wechattest.Slow(3 * time.Second))
			start := time.Now()
			got, _ := exchange(t, sim, query(appA, secretA, code))
			if took := time.Since(start); took != 3080*time.Millisecond || got.ErrCode != 0 {
				t.Errorf("errcode %d after %s", got.ErrCode, took)
			}
			start = time.Now()
			exchange(t, sim, query(appA, secretA, code))
			if took := time.Since(start); took != 80*time.Millisecond {
				t.Errorf("took %s", took)
			}
		})
	})

	t.Run("ends if the caller disconnects, without spending the code", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			sim := newSimulator(wechattest.Options{})
			code := sim.Device(appA, wechattest.User{Name: "alice"}).Login()
			sim.Fail(wechattest.Slow(time.Hour))
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/sns/jscode2session?"+query(appA, secretA, code).Encode(), nil)
			start := time.Now()
			sim.ServeHTTP(httptest.NewRecorder(), r)
			if took := time.Since(start); took != time.Second {
				t.Errorf("took %s", took)
			}
			if got, _ := exchange(t, sim, query(appA, secretA, code)); got.ErrCode != 0 {
				t.Errorf("errcode %d", got.ErrCode)
			}
		})
	})
}

// A parsed Fault is equal to its name, and Fail accepts it.
func FuzzParseFault(f *testing.F) {
	for _, name := range []string{"busy", "ratelimited", "blocked", "dropped", "droppedafter", "badgateway", "brokenjson",
		"slow:1.5s", "slow:-1s", "slow:", "errcode:40029", "errcode:0", "errcode:-1", "errcode:x", "", "tired"} {
		f.Add(name)
	}
	sim := newSimulator(wechattest.Options{})
	f.Fuzz(func(t *testing.T, name string) {
		fault, err := wechattest.ParseFault(name)
		if err != nil {
			if fault != "" {
				t.Errorf("got %q with an error", fault)
			}
			return
		}
		if again, err := wechattest.ParseFault(string(fault)); err != nil || again != fault {
			t.Errorf("%q is read again as %q, %v", fault, again, err)
		}
		if !strings.Contains(name, ":") && string(fault) != name {
			t.Errorf("%q is read as %q", name, fault)
		}
		sim.Fail(fault)
	})
}
