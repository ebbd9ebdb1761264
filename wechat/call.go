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

const (
	maxAttempts  = 3
	firstBackoff = 100 * time.Millisecond

	// maxResponse bounds what is read of a response, in bytes. A real one has some hundred.
	maxResponse = 64 << 10
)

// request is what a call sends.
type request struct {
	api   string // the API's name in errors and metrics
	path  string
	query string // encoded
	body  []byte // the JSON of a POST; nil: a GET

	spendsCode bool // a response means that the code is spent
}

// response receives the fields of a successful response.
type response interface {
	// decode takes the fields from WeChat's JSON. It returns the names of required fields that are missing or unusable.
	decode(o jsonObject) (missing []string)
}

// call makes the attempts of one call within the client's time-out. It retries only if the failed attempt certainly did
// nothing at WeChat.
func (c *Client) call(ctx context.Context, r request, into response) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	for n := 1; ; n++ {
		e := c.attempt(ctx, r, into)
		if e == nil {
			return nil
		}
		if !e.retryable || n == maxAttempts {
			return e
		}
		if !sleep(ctx, backoff(n)) {
			return deadlineError(ctx, e)
		}
	}
}

// deadlineError returns the error of a call that ended before a retry: ctx's error if the caller has cancelled it, and
// otherwise the last attempt's error, which says more than a time-out.
func deadlineError(ctx context.Context, last *Error) *Error {
	if ctx.Err() == nil {
		return last
	}
	return transportError(last.API, 0, sanitize(ctx, ctx.Err()))
}

// backoff returns the pause after attempt n: 100 ms, then 200 ms, each ±50 % so that logins that failed together are not
// retried together.
func backoff(n int) time.Duration {
	d := firstBackoff << (n - 1)
	return d/2 + rand.N(d)
}

// sleep waits for d. It returns false if ctx ends first, at once if its deadline is before the end of d.
func sleep(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return false
	}
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// attempt sends a request once and reports it to OnCall.
func (c *Client) attempt(ctx context.Context, r request, into response) *Error {
	start := time.Now()
	e := c.send(ctx, r, into)
	call := Call{API: r.api, Duration: time.Since(start)}
	if e != nil {
		call.ErrCode, call.Err = e.ErrCode, e
	}
	c.onCall(call)
	return e
}

func (c *Client) send(ctx context.Context, r request, into response) *Error {
	var conn connTrace
	// RoundTrip, because an http.Client would follow redirects and send the AppSecret in the query to another server.
	resp, err := c.transport.RoundTrip(c.newSingleUseRequest(httptrace.WithClientTrace(ctx, conn.clientTrace()), r))
	if err != nil {
		e := transportError(r.api, 0, sanitize(ctx, err))
		e.retryable = ctx.Err() == nil && conn.neverConnected(err)
		return e
	}
	defer resp.Body.Close()
	// Read the body for every status: a connection is reused only if its response has been read to the end.
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse+1))
	switch {
	case resp.StatusCode != http.StatusOK:
		return transportError(r.api, resp.StatusCode, nil)
	case err != nil:
		return transportError(r.api, resp.StatusCode, sanitize(ctx, err))
	case len(body) > maxResponse:
		return transportError(r.api, resp.StatusCode, reasonTooLong)
	}
	return readResponse(r, resp.StatusCode, body, into)
}

// readResponse decodes a response whatever its Content-Type is: WeChat sends JSON as text/plain. errcode is usually
// absent on success, and sometimes 0.
func readResponse(r request, httpStatus int, body []byte, into response) *Error {
	o, ok := readObject(body)
	if !ok {
		return transportError(r.api, httpStatus, reasonNotJSON)
	}
	if code := o.integer("errcode"); code != 0 {
		return apiError(r.api, httpStatus, int(code), o.text("errmsg"))
	}
	missing := into.decode(o)
	switch {
	case len(missing) == 0:
		return nil
	case r.spendsCode:
		return &Error{Kind: KindUnusable, API: r.api, Status: httpStatus, cause: missingFields(missing)}
	}
	return transportError(r.api, httpStatus, missingFields(missing))
}

// newSingleUseRequest returns a POST of JSON, or a GET if there is no body, that net/http sends at most once.
//
// net/http repeats a POST only if it has written nothing of it. But http.Transport silently repeats a GET if the reused
// connection dies before the response (Request.isReplayable), although the server may have acted on it. It never
// repeats a request with a body that it cannot rewind. So the GET has an empty body and no GetBody. With the "identity"
// transfer encoding nothing is sent for the body, neither a Content-Length nor a chunk, and the connection stays
// reusable.
func (c *Client) newSingleUseRequest(ctx context.Context, r request) *http.Request {
	address := *c.base
	address.Path += r.path
	if address.RawPath != "" {
		address.RawPath += r.path
	}
	address.RawQuery = r.query
	req := (&http.Request{
		Method: http.MethodGet, URL: &address, Host: address.Host, Header: make(http.Header),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(strings.NewReader("")), ContentLength: -1, TransferEncoding: identityEncoding,
	}).WithContext(ctx)
	if r.body != nil {
		req.Method, req.ContentLength, req.TransferEncoding = http.MethodPost, int64(len(r.body)), nil
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.body)), nil }
		req.Body, _ = req.GetBody()
		req.Header.Set("Content-Type", "application/json")
	}
	return req
}

// identityEncoding makes net/http send an empty body without Content-Length and without chunks.
var identityEncoding = []string{"identity"}

// connTrace records whether an attempt got a connection. Without one nothing can have been sent.
type connTrace struct{ requested, connected atomic.Bool }

func (c *connTrace) clientTrace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) { c.requested.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { c.connected.Store(true) },
	}
}

// neverConnected reports whether the failed attempt certainly had no connection. If the transport does not call
// httptrace's hooks, only an error of dialling counts.
func (c *connTrace) neverConnected(err error) bool {
	if c.connected.Load() {
		return false
	}
	var opErr *net.OpError
	return c.requested.Load() || errors.As(err, &opErr) && opErr.Op == "dial"
}

// sanitize reduces a transport's error to its class. net/http's own error for a failed GET contains the whole URL, with
// secret and code, and errors of proxies and wrapped transports may contain anything.
func sanitize(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if netErr, ok := errors.AsType[net.Error](err); ok && netErr.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return context.DeadlineExceeded
	}
	reason := classifyTransport(err)
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return fmt.Errorf("%w: %w", reason, errno) // its text is the operating system's
	}
	return reason
}

func classifyTransport(err error) reason {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return reasonCertificate
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return reasonNoHost
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return reasonNoConnection
	}
	return reasonConnectionLost
}
