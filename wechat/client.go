package wechat

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	defaultBaseURL = "https://api.weixin.qq.com"
	defaultTimeout = 5 * time.Second
)

// Options configures a Client. AppID and Secret are required.
type Options struct {
	AppID  string // the mini-program's, from WeChat's admin console
	Secret Secret // the AppSecret

	// BaseURL is where WeChat's API is: an absolute http or https URL, with or without a trailing slash. Default:
	// https://api.weixin.qq.com. Plain http is for a simulator only, since the AppSecret travels in the query.
	BaseURL string

	// Transport carries the requests. Default: a NewTransport of the client's own. Clients of several mini-programs
	// should share one. A transport that repeats requests by itself breaks the promise of Code2Session.
	Transport http.RoundTripper

	// Timeout is the whole budget of one call, repeated attempts and pauses included. Default: 5 s.
	Timeout time.Duration

	// OnCall, if not nil, is told of every attempt after it ended, from the goroutine of the caller.
	OnCall func(Call)
}

// Call describes one attempt at WeChat's API, for metrics and circuit breakers.
type Call struct {
	API      string        // "jscode2session", "stable_token" or "getuserphonenumber"
	ErrCode  int           // WeChat's errcode; 0 on success and where WeChat gave none
	Err      error         // nil on success, otherwise an *Error, free of secrets
	Duration time.Duration // from sending to the end of the answer
}

// Client calls WeChat's API for one mini-program. It is safe for concurrent use.
type Client struct {
	appID     string
	secret    Secret
	base      *url.URL
	transport http.RoundTripper
	timeout   time.Duration
	onCall    func(Call)
}

// NewClient returns a client for one mini-program. It does not connect. The error joins all faults of the options and
// holds no values of them.
func NewClient(o Options) (*Client, error) {
	if o.BaseURL == "" {
		o.BaseURL = defaultBaseURL
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	if o.Transport == nil {
		o.Transport = NewTransport()
	}
	if o.OnCall == nil {
		o.OnCall = func(Call) {}
	}
	base, err := url.Parse(strings.TrimRight(o.BaseURL, "/"))
	if err != nil {
		return nil, errors.New("wechat: the base URL cannot be read") // and was, by validate
	}
	return &Client{
		appID:     o.AppID,
		secret:    o.Secret,
		base:      base,
		transport: o.Transport,
		timeout:   o.Timeout,
		onCall:    o.OnCall,
	}, nil
}

// AppID returns the mini-program's appid.
func (c *Client) AppID() string { return c.appID }

// Format prints the appid alone, for every verb: fmt would show the AppSecret, as it calls no methods of unexported fields.
func (c *Client) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "wechat.Client{AppID:%q}", c.appID) }

func (o Options) validate() error {
	var faults []error
	fault := func(wrong bool, text string) {
		if wrong {
			faults = append(faults, errors.New("wechat: "+text))
		}
	}
	fault(o.AppID == "", "the appid is empty")
	fault(strings.ContainsFunc(o.AppID, notPrintableASCII), "the appid holds a space or a character that none has")
	fault(o.Secret == "", "the appsecret is empty")
	fault(strings.ContainsFunc(string(o.Secret), notPrintableASCII), "the appsecret holds a space or a character that none has")
	fault(!validBaseURL(o.BaseURL), "the base URL is not an absolute http or https URL without user, query and fragment")
	fault(o.Timeout < 0, "the time-out is negative")
	return errors.Join(faults...)
}

func notPrintableASCII(r rune) bool { return r <= ' ' || r > '~' }

func validBaseURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" &&
		u.User == nil && !strings.ContainsAny(s, "?#")
}

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
