package wechat_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"wxlogin/wechat"
)

// killer is a TCP server that answers the first request on every connection, keeps the connection, and kills it when
// another request has arrived on it: the moment at which net/http repeats a GET by itself.
type killer struct {
	listener net.Listener
	reset    bool // kill by RST, not FIN

	mu       sync.Mutex
	requests []string // the heads of all requests, in order
	ports    []string // the connections that they came on
}

func startKiller(t *testing.T, reset bool) *killer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k := &killer{listener: listener, reset: reset}
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

func (k *killer) serve(conn net.Conn) {
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
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(goodAnswer), goodAnswer)
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

func (k *killer) seen() (requests, ports []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.requests), slices.Clone(k.ports)
}

func (k *killer) url() string { return "http://" + k.listener.Addr().String() }

func TestCode2Session_is_never_sent_twice_when_a_reused_connection_dies(t *testing.T) {
	for name, reset := range map[string]bool{"by_FIN": false, "by_RST": true} {
		t.Run(name, func(t *testing.T) {
			k := startKiller(t, reset)
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
}

// What makes net/http send a request once is a body that it cannot rewind; "identity" is what keeps it from waiting for
// that body and, on a machine that stalls, from announcing it with a header.
func TestCode2Session_request_cannot_be_rewound(t *testing.T) {
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
		return response(http.StatusOK, goodAnswer), nil
	})})
	if _, err := client.Code2Session(t.Context(), testCode); err != nil {
		t.Error(err)
	}
}

// The counterpart: an ordinary GET is repeated, so that the test above would notice.
func TestKiller_makes_an_ordinary_GET_come_twice(t *testing.T) {
	k := startKiller(t, false)
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
}

// Whatever the moment at which connections die, no code arrives twice.
func TestCode2Session_is_never_sent_twice_under_load(t *testing.T) {
	k := startKiller(t, true)
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
