package player

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Route is a route of the server.
type Route int

const (
	Login Route = iota
	Update
	ReadUser
	Introspect
	Logout
	DeleteAccount
	Upload
	Routes // how many there are
)

var paths = [Routes]string{"/onLogin", "/updateUserInfo", "/userInfo", "/introspect", "/logout", "/deleteAccount", "/uploadAvatar"}

// String returns the path.
func (r Route) String() string { return paths[r] }

// Failures of a request that got no response. In results they stand beside the codes of problems.
const (
	Refused  = "refused"   // no connection was made
	Cut      = "cut"       // the connection ended before the whole response
	TimedOut = "timed_out" // there was no whole response within the time-out
)

// Reply is what came of a request.
type Reply struct {
	Response
	ID      string // of the request
	Failure string // Refused, Cut or TimedOut; "" if there is a response
	Begun   bool   // part of a response arrived
	Reused  bool   // the connection had served another request before
	Ended   time.Time
}

// Client sends requests to servers.
type Client struct {
	Transport http.RoundTripper
	Servers   []string // base URLs
	Internals []string // those of their internal listeners
	Key       string   // of the internal listeners
	Timeout   time.Duration
}

// The ids of all requests are different.
var (
	idPrefix = "wxtest-" + rand.Text()[:8] + "-"
	lastID   atomic.Uint64
)

// NewTransport returns a transport for many short requests to few hosts. It gives connections up sooner than servers end
// idle ones, which would cut requests.
func NewTransport(connections int) *http.Transport {
	return &http.Transport{
		MaxIdleConnsPerHost: connections, IdleConnTimeout: 30 * time.Second, DisableCompression: true,
		DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
	}
}

// bases returns the base URLs of the servers that have a route.
func (c *Client) bases(r Route) []string {
	if r == Introspect {
		return c.Internals
	}
	return c.Servers
}

// Request is a request to a server. Its body is a form, unless it has a Type.
type Request struct {
	Route  Route
	Server int    // which one
	Bearer string // token in Authorization; "": none
	Form   string
	Type   string // Content-Type
}

// Send sends a request once; only on a connection that the server had closed before anything was written, it is sent again.
func (c *Client) Send(ctx context.Context, r Request) Reply {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	var begun, reused atomic.Bool // set by the transport's goroutines
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:              func(c httptrace.GotConnInfo) { reused.Store(c.Reused) },
		GotFirstResponseByte: func() { begun.Store(true) },
	})
	reply := Reply{ID: idPrefix + strconv.FormatUint(lastID.Add(1), 36)}
	err := c.roundTrip(ctx, r, &reply)
	reply.Ended, reply.Begun, reply.Reused = time.Now(), begun.Load(), reused.Load()
	if err != nil {
		reply.Failure = failureOf(err)
	}
	return reply
}

// maxBody is more than any response has.
const maxBody = 64 << 10

// roundTrip sets the response of a reply unless it fails.
func (c *Client) roundTrip(ctx context.Context, r Request, reply *Reply) error {
	method := http.MethodPost
	if r.Route == ReadUser {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(ctx, method, c.bases(r.Route)[r.Server]+r.Route.String(), strings.NewReader(r.Form))
	if err != nil {
		return err
	}
	req.Header.Set("X-Request-Id", reply.ID)
	if r.Form != "" {
		req.Header.Set("Content-Type", cmp.Or(r.Type, "application/x-www-form-urlencoded"))
	}
	if r.Bearer != "" {
		req.Header.Set("Authorization", "Bearer "+r.Bearer)
	}
	if r.Route == Introspect && c.Key != "" {
		req.Header.Set("X-Api-Key", c.Key)
	}
	resp, err := c.Transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return err
	}
	h := resp.Header
	reply.Response = Response{
		Status: resp.StatusCode, ContentType: h.Get("Content-Type"), RetryAfter: h.Get("Retry-After"),
		Challenge: h.Get("Www-Authenticate"), RequestID: h.Get("X-Request-Id"), Body: body,
	}
	return nil
}

func failureOf(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return Refused
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return TimedOut
	}
	return Cut
}
