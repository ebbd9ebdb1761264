package main

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// clientTimeout is far above every bound, so that it is the servers' own that is measured.
const clientTimeout = 20 * time.Second

type route string

const (
	onLogin        route = "/onLogin"
	updateUserInfo route = "/updateUserInfo"
)

// outcome is how far a request came.
type outcome int

const (
	answered  outcome = iota
	refused           // no connection was made
	unheard           // sent, wholly or in part, and not a byte came back
	cutAnswer         // part of an answer came back
)

// answer is what a client sees of an answer.
type answer struct {
	outcome     outcome
	reused      bool // the connection had served another request
	status      int  // 0 without an answer
	contentType string
	retryAfter  string
	challenge   string // WWW-Authenticate
	requestID   string
	body        []byte
}

// api sends requests to the servers and enters each into the ledger.
type api struct {
	client *http.Client
	urls   map[string]string // by the server's name
	ledger *ledger
}

func newAPI(s *system, l *ledger) *api {
	a := &api{client: &http.Client{Timeout: clientTimeout, Transport: newTransport()}, urls: map[string]string{}, ledger: l}
	for name, server := range s.servers {
		a.urls[name] = "http://" + server.public
	}
	return a
}

// send sends one request. e says what it is about; the rest of it is filled in here.
func (a *api) send(ctx context.Context, e entry, form url.Values) entry {
	e.requestID = rand.Text()
	e.sent = a.ledger.now()
	e.answer = a.do(ctx, e, form)
	e.ended = a.ledger.now()
	a.ledger.add(e)
	return e
}

func (a *api) do(ctx context.Context, e entry, form url.Values) answer {
	var begun, reused atomic.Bool // set by goroutines of the transport
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:              func(c httptrace.GotConnInfo) { reused.Store(c.Reused) },
		GotFirstResponseByte: func() { begun.Store(true) },
	})
	url := a.urls[e.server] + string(e.route)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(form.Encode()))
	if err != nil {
		return answer{outcome: refused}
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("X-Request-Id", e.requestID)
	resp, err := a.client.Do(req)
	if err != nil {
		return answer{outcome: failed(err, begun.Load()), reused: reused.Load()}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{outcome: cutAnswer}
	}
	return answer{
		status: resp.StatusCode, contentType: resp.Header.Get("Content-Type"), retryAfter: resp.Header.Get("Retry-After"),
		challenge: resp.Header.Get("WWW-Authenticate"), requestID: resp.Header.Get("X-Request-Id"), body: body,
	}
}

func failed(err error, begun bool) outcome {
	var op *net.OpError
	switch {
	case errors.As(err, &op) && op.Op == "dial":
		return refused
	case begun:
		return cutAnswer
	}
	return unheard
}
