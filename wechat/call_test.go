package wechat_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

const busyResponse = `{"errcode":-1,"errmsg":"system error, rid: 652d44d0-1d0af18b-5b069232"}`

func TestClient_Retry(t *testing.T) {
	t.Run("after errcode -1", func(t *testing.T) {
		tests := map[string]struct {
			bodies   []string
			calls    int
			kind     wechat.Kind
			min, max time.Duration
		}{
			"once busy":               {[]string{busyResponse, goodResponse}, 2, wechat.KindUnknown, 50 * time.Millisecond, 150 * time.Millisecond},
			"twice busy":              {[]string{busyResponse, busyResponse, goodResponse}, 3, wechat.KindUnknown, 150 * time.Millisecond, 450 * time.Millisecond},
			"busy for good":           {[]string{busyResponse}, 3, wechat.KindUnavailable, 150 * time.Millisecond, 450 * time.Millisecond},
			"busy then used":          {[]string{busyResponse, `{"errcode":40163}`}, 2, wechat.KindInvalidCode, 50 * time.Millisecond, 150 * time.Millisecond},
			"invalid is not repeated": {[]string{`{"errcode":40029}`}, 1, wechat.KindInvalidCode, 0, 0},
			"limited is not repeated": {[]string{`{"errcode":45011}`}, 1, wechat.KindRateLimited, 0, 0},
			"unknown is not repeated": {[]string{`{"errcode":99999}`}, 1, wechat.KindMisconfigured, 0, 0},
			"failed is not repeated":  {[]string{`{"errcode":-1000}`}, 1, wechat.KindUnavailable, 0, 0},
			"busy as a text":          {[]string{`{"errcode":"-1"}`, goodResponse}, 2, wechat.KindUnknown, 50 * time.Millisecond, 150 * time.Millisecond},
		}
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var calls int
					client := newClient(t, wechat.Options{Transport: cannedResponses(&calls, test.bodies...)})
					start := time.Now()
					_, err := client.Code2Session(t.Context(), testCode)
					took := time.Since(start)
					if wechat.KindOf(err) != test.kind || calls != test.calls {
						t.Errorf("%v after %d calls, want %s after %d", err, calls, test.kind, test.calls)
					}
					if took < test.min || took > test.max {
						t.Errorf("took %s, want %s to %s", took, test.min, test.max)
					}
				})
			})
		}
	})

	t.Run("stays within the timeout", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var calls int
			client := newClient(t, wechat.Options{Transport: cannedResponses(&calls, busyResponse), Timeout: 40 * time.Millisecond})
			start := time.Now()
			_, err := client.Code2Session(t.Context(), testCode)
			e, ok := errors.AsType[*wechat.Error](err)
			if !ok || e.ErrCode != -1 || calls != 1 || time.Since(start) != 0 {
				t.Errorf("%v after %d calls and %s; want the -1 at once, as no pause fits", err, calls, time.Since(start))
			}
		})
	})

	t.Run("ends if the caller cancels", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var calls int
			client := newClient(t, wechat.Options{Transport: cannedResponses(&calls, busyResponse)})
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(10*time.Millisecond, cancel)
			_, err := client.Code2Session(ctx, testCode)
			if !errors.Is(err, context.Canceled) || calls != 1 {
				t.Errorf("%v after %d calls", err, calls)
			}
		})
	})
}

func TestOptions_Timeout(t *testing.T) {
	t.Run("5 seconds by default", func(t *testing.T) {
		for given, want := range map[time.Duration]time.Duration{0: 5 * time.Second, 800 * time.Millisecond: 800 * time.Millisecond} {
			synctest.Test(t, func(t *testing.T) {
				var calls int
				client := newClient(t, wechat.Options{Timeout: given, Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
					calls++
					<-r.Context().Done()
					return nil, r.Context().Err()
				})})
				start := time.Now()
				_, err := client.Code2Session(t.Context(), testCode)
				if took := time.Since(start); took != want || calls != 1 || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v after %s and %d calls, want %s and 1", err, took, calls, want)
				}
			})
		}
	})

	// The time-out also bounds a body that does not end.
	t.Run("includes the body", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			client := newClient(t, wechat.Options{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				body, w := io.Pipe()
				context.AfterFunc(r.Context(), func() { w.CloseWithError(r.Context().Err()) })
				resp := response(http.StatusOK, "")
				resp.Body = body
				return resp, nil
			})})
			start := time.Now()
			_, err := client.Code2Session(t.Context(), testCode)
			if took := time.Since(start); took != 5*time.Second || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v after %s", err, took)
			}
		})
	})
}

func TestClient_RetryNoConnection(t *testing.T) {
	sim, _ := startSimulator(t, wechat.Options{})
	phone := sim.Device(testAppID, wechattest.User{Name: "alice"})
	dialError := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}

	t.Run("by the transport", func(t *testing.T) {
		var dials atomic.Int32
		transport := wechat.NewTransport()
		defer transport.CloseIdleConnections()
		transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
			dials.Add(1)
			return nil, dialError
		}
		client := newClient(t, wechat.Options{Transport: transport, BaseURL: "http://wechat.invalid"})
		_, err := client.Code2Session(t.Context(), testCode)
		if dials.Load() != 3 || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%v after %d dials, want 3", err, dials.Load())
		}
	})
	t.Run("by a transport without httptrace", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var calls int
			client := newClient(t, wechat.Options{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
				if calls++; calls == 1 {
					return nil, dialError
				}
				return response(http.StatusOK, goodResponse), nil
			})})
			if _, err := client.Code2Session(t.Context(), testCode); err != nil || calls != 2 {
				t.Errorf("%v after %d calls, want success after 2", err, calls)
			}
		})
	})
	t.Run("and not after one that was", func(t *testing.T) {
		var calls int
		client := newClient(t, wechat.Options{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			calls++
			return nil, &url.Error{Op: "Get", URL: "https://x", Err: io.ErrUnexpectedEOF}
		})})
		if _, err := client.Code2Session(t.Context(), testCode); wechat.KindOf(err) != wechat.KindUnavailable || calls != 1 {
			t.Errorf("%v after %d calls, want 1", err, calls)
		}
	})
	t.Run("with the code still good", func(t *testing.T) {
		code := phone.Login()
		var dials atomic.Int32
		transport := http.DefaultTransport.(*http.Transport).Clone()
		defer transport.CloseIdleConnections()
		dial := transport.DialContext
		transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if dials.Add(1) == 1 {
				return nil, dialError
			}
			return dial(ctx, network, addr)
		}
		_, good := newClientWith(t, sim, transport)
		if _, err := good.Code2Session(t.Context(), code); err != nil {
			t.Error(err)
		}
	})
}

// A request that was lost after WeChat had spent the code is not repeated: the response could only be "code been used".
func TestClient_NoRetry(t *testing.T) {
	for _, fault := range []wechattest.Fault{wechattest.Dropped, wechattest.DroppedAfter, wechattest.BadGateway, wechattest.BrokenJSON} {
		t.Run(string(fault), func(t *testing.T) {
			sim, client := startSimulator(t, wechat.Options{})
			phone := sim.Device(testAppID, wechattest.User{Name: "alice"})
			for range 3 { // on a fresh connection, and on reused ones
				before := sim.Calls()
				sim.Fail(fault)
				if _, err := client.Code2Session(t.Context(), phone.Login()); wechat.KindOf(err) != wechat.KindUnavailable {
					t.Errorf("got %v", err)
				}
				if n := sim.Calls() - before; n != 1 {
					t.Errorf("%d calls, want 1", n)
				}
				if _, err := client.Code2Session(t.Context(), phone.Login()); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// disconnectingServer is a TCP server that responds to the first request of each connection and closes the connection
// after the second one has arrived. In this case net/http repeats a GET.
type disconnectingServer struct {
	listener net.Listener
	reset    bool // close with RST, not FIN

	mu       sync.Mutex
	requests []string // the heads of the requests, in order
	ports    []string // the client's port of each request
}

func startDisconnectingServer(t *testing.T, reset bool) *disconnectingServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k := &disconnectingServer{listener: listener, reset: reset}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			group.Go(func() { k.serve(conn) })
		}
	})
	t.Cleanup(func() { listener.Close(); group.Wait() })
	return k
}

func (k *disconnectingServer) serve(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	for n := 0; ; n++ {
		head, err := readHead(r)
		if err != nil {
			return
		}
		k.mu.Lock()
		k.requests = append(k.requests, head)
		k.ports = append(k.ports, conn.RemoteAddr().String())
		k.mu.Unlock()
		if n > 0 {
			if k.reset {
				conn.(*net.TCPConn).SetLinger(0)
			}
			return
		}
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(goodResponse), goodResponse)
	}
}

func readHead(r *bufio.Reader) (string, error) {
	var head strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", err
		}
		head.WriteString(line)
		if line == "\r\n" {
			return head.String(), nil
		}
	}
}

func (k *disconnectingServer) seen() (requests, ports []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.requests), slices.Clone(k.ports)
}

func (k *disconnectingServer) url() string { return "http://" + k.listener.Addr().String() }

func TestClient_SingleUseRequest(t *testing.T) {
	t.Run("not sent twice if a reused connection dies", func(t *testing.T) {
		for name, reset := range map[string]bool{"by FIN": false, "by RST": true} {
			t.Run(name, func(t *testing.T) {
				k := startDisconnectingServer(t, reset)
				transport := wechat.NewTransport()
				defer transport.CloseIdleConnections()
				client := newClient(t, wechat.Options{BaseURL: k.url(), Transport: transport})
				if _, err := client.Code2Session(t.Context(), "first"); err != nil {
					t.Fatal(err)
				}
				_, err := client.Code2Session(t.Context(), "second")
				if wechat.KindOf(err) != wechat.KindUnavailable {
					t.Errorf("got %v, want unavailable", err)
				}
				requests, ports := k.seen()
				if len(requests) != 2 || !strings.Contains(requests[1], "js_code=second") {
					t.Fatalf("the server got %d requests, want 2", len(requests))
				}
				if ports[0] != ports[1] {
					t.Error("the connection was not reused, so that the test shows nothing")
				}
				for _, head := range requests {
					lower := strings.ToLower(head)
					for _, header := range []string{"content-length", "transfer-encoding", "connection: close", "expect"} {
						if strings.Contains(lower, header) {
							t.Errorf("the request has a header %q", header)
						}
					}
				}
			})
		}
	})

	// net/http sends a request only once if it has a body that cannot be rewound. "identity" keeps net/http from
	// waiting for that body and, on a slow machine, from announcing it in a header.
	t.Run("cannot be rewound", func(t *testing.T) {
		client := newClient(t, wechat.Options{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.Body == nil || r.Body == http.NoBody || r.GetBody != nil {
				t.Error("the request can be sent again")
			}
			if !slices.Equal(r.TransferEncoding, []string{"identity"}) {
				t.Errorf("transfer encoding %q", r.TransferEncoding)
			}
			if body, err := io.ReadAll(r.Body); len(body) != 0 || err != nil {
				t.Errorf("the body has %d bytes, %v", len(body), err)
			}
			return response(http.StatusOK, goodResponse), nil
		})})
		if _, err := client.Code2Session(t.Context(), testCode); err != nil {
			t.Error(err)
		}
	})

	// The counterpart: an ordinary GET is repeated, so the test above can fail.
	t.Run("an ordinary GET is sent twice", func(t *testing.T) {
		k := startDisconnectingServer(t, false)
		transport := wechat.NewTransport()
		defer transport.CloseIdleConnections()
		ordinary := &http.Client{Transport: transport}
		for range 2 {
			resp, err := ordinary.Get(k.url())
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		if requests, _ := k.seen(); len(requests) != 3 {
			t.Errorf("the server got %d requests, want 3", len(requests))
		}
	})
}

// Whenever connections die, no code arrives twice.
func TestClient_SingleUseRequestLoad(t *testing.T) {
	k := startDisconnectingServer(t, true)
	transport := wechat.NewTransport()
	defer transport.CloseIdleConnections()
	client := newClient(t, wechat.Options{BaseURL: k.url(), Transport: transport})
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for n := range 25 {
				client.Code2Session(t.Context(), fmt.Sprintf("code-%d-%d-", worker, n))
			}
		})
	}
	group.Wait()
	requests, _ := k.seen()
	arrived := map[string]int{}
	for _, head := range requests {
		_, rest, _ := strings.Cut(head, "js_code=")
		code, _, _ := strings.Cut(rest, "&")
		arrived[code]++
	}
	for code, n := range arrived {
		if n != 1 {
			t.Errorf("%s arrived %d times", code, n)
		}
	}
	if len(arrived) < 100 {
		t.Errorf("only %d codes arrived, the test shows little", len(arrived))
	}
}
