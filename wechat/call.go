package wechat

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// maxAnswer bounds what is read of an answer, in bytes. A real one has some hundred.
const maxAnswer = 64 << 10

// answer is what an API answers beside an errcode.
type answer interface {
	// read takes it out of WeChat's JSON. It returns the names of the fields that are missing or cannot be used, if these are
	// needed.
	read(o object) (missing []string)
}

// request is what a call sends.
type request struct {
	api   string // the API's name in errors and metrics
	path  string
	query string // encoded
	body  []byte // the JSON of a POST; nil: a GET

	spendsCode bool // an answer means that the code is spent
}

// attempt sends a request once and tells OnCall of it.
func (c *Client) attempt(ctx context.Context, r request, into answer) *Error {
	start := time.Now()
	e := c.send(ctx, r, into)
	call := Call{API: r.api, Duration: time.Since(start)}
	if e != nil {
		call.ErrCode, call.Err = e.ErrCode, e
	}
	c.onCall(call)
	return e
}

func (c *Client) send(ctx context.Context, r request, into answer) *Error {
	var conn connection
	// The transport alone: http.Client would follow redirects, which carry the AppSecret of the query to somewhere else.
	resp, err := c.transport.RoundTrip(c.newOnceRequest(httptrace.WithClientTrace(ctx, conn.trace()), r))
	if err != nil {
		e := unavailable(r.api, 0, sanitize(ctx, err))
		e.repeatable = ctx.Err() == nil && conn.neverMade(err)
		return e
	}
	defer resp.Body.Close()
	// Read before the status is looked at: a connection is only reused when its answer has been read to the end.
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case resp.StatusCode != http.StatusOK:
		return unavailable(r.api, resp.StatusCode, nil)
	case err != nil:
		return unavailable(r.api, resp.StatusCode, sanitize(ctx, err))
	case len(body) > maxAnswer:
		return unavailable(r.api, resp.StatusCode, causeTooLong)
	}
	return read(r, resp.StatusCode, body, into)
}

// read reads an answer by what it is, not by its Content-Type: WeChat sends JSON as text/plain. errcode is usually absent on
// success, and sometimes 0.
func read(r request, httpStatus int, body []byte, into answer) *Error {
	o, ok := readObject(body)
	if !ok {
		return unavailable(r.api, httpStatus, causeNotJSON)
	}
	if code := o.integer("errcode"); code != 0 {
		return answered(r.api, httpStatus, int(code), o.text("errmsg"))
	}
	missing := into.read(o)
	switch {
	case len(missing) == 0:
		return nil
	case r.spendsCode:
		return &Error{Kind: KindUnusable, API: r.api, Status: httpStatus, cause: causeMissing(missing)}
	}
	return unavailable(r.api, httpStatus, causeMissing(missing))
}

// newOnceRequest returns a POST of JSON, or a GET where body is nil, that net/http sends at most once.
//
// A POST it repeats only where nothing of it was written. For a GET that takes a trick:
// http.Transport silently repeats a GET when the reused connection that it was written to dies before an answer
// (Request.isReplayable), although the server may have acted on it. What it never repeats is a request with a body
// that it cannot rewind. So this one has a body, which is empty, and no GetBody. The "identity" transfer encoding says
// that the body goes out as it is: nothing is sent for it, no Content-Length, no chunk, and the connection stays
// reusable.
func (c *Client) newOnceRequest(ctx context.Context, r request) *http.Request {
	address := *c.base
	address.Path += r.path
	if address.RawPath != "" {
		address.RawPath += r.path
	}
	address.RawQuery = r.query
	req := (&http.Request{
		Method: http.MethodGet, URL: &address, Host: address.Host, Header: make(http.Header),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(strings.NewReader("")), ContentLength: -1, TransferEncoding: identity,
	}).WithContext(ctx)
	if r.body != nil {
		req.Method, req.ContentLength, req.TransferEncoding = http.MethodPost, int64(len(r.body)), nil
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.body)), nil }
		req.Body, _ = req.GetBody()
		req.Header.Set("Content-Type", "application/json")
	}
	return req
}

// identity is the transfer encoding of a request without a body that nothing says so of.
var identity = []string{"identity"}

// connection watches whether an attempt got a connection. Without one nothing can have been sent.
type connection struct{ asked, got atomic.Bool }

func (c *connection) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) { c.asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { c.got.Store(true) },
	}
}

// neverMade reports whether it is certain that the failed attempt had no connection. A transport that does not serve
// httptrace is believed only where its error is that of dialling.
func (c *connection) neverMade(err error) bool {
	if c.got.Load() {
		return false
	}
	var op *net.OpError
	return c.asked.Load() || errors.As(err, &op) && op.Op == "dial"
}

const (
	maxAttempts = 3
	firstPause  = 100 * time.Millisecond
)

// call makes the attempts of one call within the client's time-out. Only attempts that certainly changed nothing at
// WeChat are followed by another (Error.repeatable).
func (c *Client) call(ctx context.Context, r request, into answer) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	for n := 1; ; n++ {
		e := c.attempt(ctx, r, into)
		if e == nil {
			return nil
		}
		if !e.repeatable || n == maxAttempts {
			return e
		}
		if !sleep(ctx, pause(n)) {
			return interrupted(ctx, e)
		}
	}
}

// interrupted is the error of a call whose pause did not run out: the caller's cancellation where there was one, and
// otherwise what WeChat said last, which tells more than that the time was used up.
func interrupted(ctx context.Context, last *Error) *Error {
	if ctx.Err() == nil {
		return last
	}
	return unavailable(last.API, 0, sanitize(ctx, ctx.Err()))
}

// pause is the wait after attempt n: 100 ms, then 200 ms, each ±50 % so that the logins which failed together do not
// come back together.
func pause(n int) time.Duration {
	d := firstPause << (n - 1)
	return d/2 + rand.N(d)
}

// sleep waits for d and reports true; or false, where ctx ends first. It does not begin a wait that ctx cannot outlive.
func sleep(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// sanitize reduces a transport's error to what is known to be harmless. net/http's own error for a failed GET prints
// the whole URL, secret and code included, and errors of proxies and wrapped transports may print anything, so that
// nothing of err is kept but its class.
func sanitize(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return context.DeadlineExceeded
	}
	why := class(err)
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return fmt.Errorf("%w: %w", why, errno) // a number whose text is the system's
	}
	return why
}

func class(err error) cause {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return causeCertificate
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return causeNoHost
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return causeNoConnection
	}
	return causeLost
}
