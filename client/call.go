package client

import (
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// maxResponse bounds a response's body. A hundred users have less than a tenth of it.
	maxResponse = 1 << 20

	// weChatTimeout is the least time for a call for which the server asks WeChat. The server itself gives up after 8 seconds.
	weChatTimeout = 10 * time.Second

	// firstBackoff is the pause before the first repeat; it doubles with each.
	firstBackoff = 50 * time.Millisecond
)

// call is a request to the server. With a form it has a body.
type call struct {
	op, method, path string
	query, form      url.Values
	asksWeChat       bool // the server may have to ask WeChat first
}

// response is the body of a 200. valid reports whether it has what the route promises.
type response interface{ valid() bool }

// do sends a call, repeats it where that may help, and reads the response.
func (c *Client) do(ctx context.Context, r call, into response) error {
	timeout := c.timeout
	if r.asksWeChat {
		timeout = max(timeout, weChatTimeout)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	backoff := firstBackoff
	for attempt := 0; ; attempt++ {
		err := c.attempt(ctx, r, into)
		if err == nil {
			return nil
		}
		if !err.retryable || attempt >= c.retries || !pause(ctx, max(backoff, err.RetryAfter)) {
			return err
		}
		backoff *= 2
	}
}

// pause waits for at least d and at most a quarter longer, or until ctx ends. It returns false at once if ctx ends before.
func pause(ctx context.Context, d time.Duration) bool {
	d += rand.N(d / 4)
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return true
}

// attempt sends a call once.
func (c *Client) attempt(ctx context.Context, r call, into response) *Error {
	req, err := c.newRequest(ctx, r)
	if err != nil {
		return &Error{Op: r.op, cause: errBroken}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return transportError(ctx, r.op, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse+1))
	switch {
	case err != nil:
		return transportError(ctx, r.op, err)
	case len(body) > maxResponse:
		return &Error{Op: r.op, Status: resp.StatusCode, cause: errTooLarge}
	case resp.StatusCode != http.StatusOK:
		return problemError(r.op, resp, body)
	case json.Unmarshal(body, into) != nil || !into.valid():
		return &Error{Op: r.op, Status: resp.StatusCode, cause: errForeign}
	}
	return nil
}

func (c *Client) newRequest(ctx context.Context, r call) (*http.Request, error) {
	target := c.base.JoinPath(r.path)
	target.RawQuery = r.query.Encode()
	var body io.Reader
	if r.form != nil {
		body = strings.NewReader(r.form.Encode())
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target.String(), body)
	if err != nil {
		return nil, err
	}
	if r.form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if id, ok := ctx.Value(requestIDKey{}).(string); ok {
		req.Header.Set(headerRequestID, id)
	}
	c.authorize(req.Header)
	return req, nil
}

// done is a response of which only the status matters. It must still be a JSON object, which a proxy's page is not.
type done struct{}

func (done) valid() bool { return true }
