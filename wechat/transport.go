package wechat

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// maxConns is how many connections a transport has to one host.
const maxConns = 1024

// NewTransport returns a transport made for many short calls to one host.
//
// It opens up to 1024 connections to a host, and keeps all of them while they are idle (net/http's default is 2 for each
// host, which under load makes every call a TLS handshake); a call beyond that waits within its own time-out. Idle
// connections are closed after 30 s, before a server or a NAT on the way is likely to do it and lose an exchange. Connecting and the TLS
// handshake have 2 s each, so that within the default budget of 5 s there is time for another attempt.
//
// It speaks HTTP/1.1 only, so that one slow answer or one lost packet delays one login, not all of them. It uses the
// proxy of the environment (HTTPS_PROXY, HTTP_PROXY, NO_PROXY), as http.DefaultTransport does: through an HTTPS proxy
// the AppSecret stays encrypted, but WeChat's IP whitelist then must hold the proxy's address. Set Proxy to nil for a
// direct connection.
func NewTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 2 * time.Second, KeepAlive: 15 * time.Second}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    2 * time.Second,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(64)},
		Protocols:              protocols,
		DisableCompression:     true, // answers are shorter than a packet
		MaxIdleConns:           maxConns,
		MaxIdleConnsPerHost:    maxConns,
		MaxConnsPerHost:        maxConns,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

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
