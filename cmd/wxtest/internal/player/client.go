package player

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
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
	Routes // how many there are
)

var paths = [Routes]string{"/onLogin", "/updateUserInfo", "/userInfo", "/introspect", "/logout"}

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
	transport http.RoundTripper
	servers   []string // base URLs
	internals []string
	key       string // of the internal listeners
	timeout   time.Duration
	prefix    string // of all request ids
	count     atomic.Uint64
}

// NewTransport returns a transport for many short requests to few hosts. It gives connections up sooner than servers end
// idle ones, which would cut requests.
func NewTransport(connections int) *http.Transport {
	return &http.Transport{
		MaxIdleConnsPerHost: connections, IdleConnTimeout: 30 * time.Second, DisableCompression: true,
		DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
	}
}

// NewClient returns a client of the servers with these base URLs. internals are those of their internal listeners, whose API
// key is key.
func NewClient(servers, internals []string, key string, timeout time.Duration, transport http.RoundTripper) *Client {
	prefix := "wxtest-" + rand.Text()[:8] + "-"
	return &Client{transport: transport, servers: servers, internals: internals, key: key, timeout: timeout, prefix: prefix}
}

func (c *Client) bases(r Route) []string {
	if r == Introspect {
		return c.internals
	}
	return c.servers
}

// Servers returns how many servers have a route.
func (c *Client) Servers(r Route) int { return len(c.bases(r)) }

// Request is a request to a server. Its body is a form.
type Request struct {
	Route  Route
	Server int    // which one
	Bearer string // token in Authorization; "": none
	Form   string
}

// Send sends a request once; only on a connection that the server had closed before anything was written, it is sent again.
func (c *Client) Send(ctx context.Context, r Request) Reply {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var begun, reused atomic.Bool // set by the transport's goroutines
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:              func(c httptrace.GotConnInfo) { reused.Store(c.Reused) },
		GotFirstResponseByte: func() { begun.Store(true) },
	})
	reply := Reply{ID: c.prefix + strconv.FormatUint(c.count.Add(1), 36)}
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
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if r.Bearer != "" {
		req.Header.Set("Authorization", "Bearer "+r.Bearer)
	}
	if r.Route == Introspect && c.key != "" {
		req.Header.Set("X-Api-Key", c.key)
	}
	resp, err := c.transport.RoundTrip(req)
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

var errCoolingDown = errors.New("the simulator failed a moment ago")

// Simulator is WeChat on the user's device, which the simulator plays too.
type Simulator struct {
	Base     string        // URL
	AppID    string        // may be empty if the simulator has one mini-program
	Client   *http.Client  // with a time-out
	InFlight chan struct{} // a semaphore: its capacity is how many calls there may be at once
	CoolDown time.Duration // how long calls fail at once after a failure, so that they do not all wait for a dead process

	requests, failures, failedAt atomic.Int64
}

// Counts returns how often the simulator was called, and how often that failed.
func (s *Simulator) Counts() (requests, failures int64) { return s.requests.Load(), s.failures.Load() }

// Sealed is an encrypted profile as wx.getUserInfo gives it.
type Sealed struct {
	RawData       string  `json:"rawData"`
	Signature     string  `json:"signature"`
	EncryptedData string  `json:"encryptedData"`
	IV            string  `json:"iv"`
	UserInfo      Profile `json:"userInfo"`

	Watermark Watermark `json:"-"`
}

// Watermark is when data was encrypted, in Unix seconds before and after the call: WeChat's watermark is in this range.
type Watermark struct{ From, To int64 }

// MaybeSame reports whether two watermarks may be of the same second.
func (w Watermark) MaybeSame(other Watermark) bool { return w.From <= other.To && other.From <= w.To }

// Form returns the fields of an update.
func (s Sealed) Form() url.Values {
	return url.Values{"encryptedData": {s.EncryptedData}, "iv": {s.IV}}
}

// Login is wx.login: it returns a code.
func (s *Simulator) Login(ctx context.Context, user string) (string, error) {
	var answer struct{ Code string }
	err := s.call(ctx, http.MethodPost, "/sim/login", url.Values{"user": {user}}, &answer)
	return answer.Code, err
}

// UserInfo is wx.getUserInfo after the user has chosen a nickname.
func (s *Simulator) UserInfo(ctx context.Context, user, nickname string) (data Sealed, err error) {
	from := time.Now().Unix()
	err = s.call(ctx, http.MethodPost, "/sim/userinfo", url.Values{"user": {user}, "nickname": {nickname}}, &data)
	data.Watermark = Watermark{from, time.Now().Unix()}
	return data, err
}

// NewKey replaces a user's session_key.
func (s *Simulator) NewKey(ctx context.Context, user string) error {
	return s.call(ctx, http.MethodPost, "/sim/newkey", url.Values{"user": {user}}, &struct{}{})
}

// Account returns what the user's device never knows.
func (s *Simulator) Account(ctx context.Context, user string) (openID, sessionKey string, err error) {
	var answer struct{ OpenID, SessionKey string }
	err = s.call(ctx, http.MethodGet, "/sim/account", url.Values{"user": {user}}, &answer)
	return answer.OpenID, answer.SessionKey, err
}

// Fail makes the next n exchanges of codes fail.
func (s *Simulator) Fail(ctx context.Context, kind string, n int) error {
	return s.send(ctx, http.MethodPost, "/sim/fault", url.Values{"kind": {kind}, "n": {strconv.Itoa(n)}}, &struct{}{})
}

func (s *Simulator) call(ctx context.Context, method, path string, query url.Values, into any) error {
	if time.Since(time.Unix(0, s.failedAt.Load())) < s.CoolDown {
		return errCoolingDown
	}
	select {
	case s.InFlight <- struct{}{}:
		defer func() { <-s.InFlight }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.AppID != "" {
		query.Set("appid", s.AppID)
	}
	s.requests.Add(1)
	err := s.send(ctx, method, path, query, into)
	if err != nil && ctx.Err() == nil {
		s.failures.Add(1)
		s.failedAt.Store(time.Now().UnixNano())
	}
	return err
}

// send calls the simulator. The error holds nothing secret.
func (s *Simulator) send(ctx context.Context, method, path string, query url.Values, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, s.Base+path+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	resp, err := s.Client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the simulator answers %s with %d", path, resp.StatusCode)
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("the simulator's answer to %s is not JSON", path)
	}
	_, err = io.Copy(io.Discard, resp.Body) // so that the connection can be used again
	return err
}
