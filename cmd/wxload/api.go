package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	randv2 "math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"wxlogin/internal/contract"
)

// maxAnswer is more than any answer has.
const maxAnswer = 64 << 10

// route is one of the server's.
type route int

const (
	onLogin route = iota
	updateUserInfo
	getUserInfo
	postIntrospect
	postLogout
	routes
)

var routePaths = [routes]string{"/onLogin", "/updateUserInfo", "/userInfo", "/introspect", "/logout"}

// What happens to a request in the place of an answer. They stand among the codes of problems.
const (
	refused  = "refused"   // no connection was made
	cut      = "cut"       // the connection ended before the answer did
	timedOut = "timed_out" // there was no whole answer within -timeout
)

// reply is what came of a request.
type reply struct {
	requestID string
	failure   string // refused, cut or timedOut; "": there is an answer
	answer    contract.Response
	ended     time.Time
}

// api sends requests to the servers.
type api struct {
	transport http.RoundTripper
	targets   [routes][]*url.URL
	key       []string // of the internal listeners
	timeout   time.Duration
	run       string // begins all request ids
	number    atomic.Uint64
}

// newTransport is for many short requests to few hosts. Connections are given up sooner than servers end idle ones, which
// would cut requests.
func newTransport(connections int) *http.Transport {
	return &http.Transport{
		MaxIdleConnsPerHost: connections, IdleConnTimeout: 30 * time.Second, DisableCompression: true,
		DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
	}
}

func newAPI(c config, transport http.RoundTripper) (*api, error) {
	a := &api{transport: transport, timeout: c.timeout, run: "wxload-" + rand.Text()[:8] + "-"}
	if c.internalKey != "" {
		a.key = []string{c.internalKey}
	}
	for r, path := range routePaths {
		bases := c.servers
		if route(r) == postIntrospect {
			bases = c.internals
		}
		for _, base := range bases {
			target, err := url.Parse(base + path)
			if err != nil {
				return nil, fmt.Errorf("the address of %s cannot be read", path)
			}
			a.targets[r] = append(a.targets[r], target)
		}
	}
	return a, nil
}

var formType = []string{"application/x-www-form-urlencoded"}

// send sends a request to one of the servers. bearer is the value of Authorization, nil: none. The answer's body is valid
// until buf is used again.
func (a *api) send(rng *randv2.Rand, r route, bearer []string, form string, buf *bytes.Buffer) reply {
	ctx, cancel := context.WithTimeout(context.Background(), a.timeout) // a run that ends lets its requests finish
	defer cancel()
	id := a.run + strconv.FormatUint(a.number.Add(1), 36)
	rep := reply{requestID: id}
	resp, err := a.transport.RoundTrip(a.request(ctx, rng, r, id, bearer, form))
	if err == nil {
		rep.answer, err = read(resp, buf)
	}
	rep.ended = time.Now()
	if err != nil {
		rep.failure = failureOf(err)
	}
	return rep
}

func (a *api) request(ctx context.Context, rng *randv2.Rand, r route, id string, bearer []string, form string) *http.Request {
	targets := a.targets[r]
	target := targets[0]
	if len(targets) > 1 {
		target = targets[rng.IntN(len(targets))]
	}
	req := &http.Request{
		Method: http.MethodPost, URL: target, Host: target.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"X-Request-Id": {id}},
	}
	if r == getUserInfo {
		req.Method = http.MethodGet
	}
	if form != "" {
		req.Header["Content-Type"] = formType
		req.ContentLength = int64(len(form))
		// On a connection that the server has closed before anything was written, it is sent again.
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(form)), nil }
		req.Body, _ = req.GetBody() // never fails
	}
	if bearer != nil {
		req.Header["Authorization"] = bearer
	}
	if r == postIntrospect && a.key != nil {
		req.Header["X-Api-Key"] = a.key
	}
	return req.WithContext(ctx)
}

func read(resp *http.Response, buf *bytes.Buffer) (contract.Response, error) {
	defer resp.Body.Close()
	buf.Reset()
	if _, err := buf.ReadFrom(io.LimitReader(resp.Body, maxAnswer)); err != nil {
		return contract.Response{}, err
	}
	return contract.ResponseOf(resp, buf.Bytes()), nil
}

// failureOf tells why there is no answer.
func failureOf(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return refused
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return timedOut
	}
	return cut
}
