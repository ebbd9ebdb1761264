package wechat

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
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

// Options configure a Client. AppID and Secret are required.
type Options struct {
	AppID  string // the mini-program's, from WeChat's admin console
	Secret Secret // the AppSecret

	// BaseURL is the address of WeChat's API: an absolute http or https URL, with or without a trailing slash. Default:
	// https://api.weixin.qq.com. Plain http is for a simulator only, since the AppSecret is sent in the query.
	BaseURL string

	// Transport sends the requests. Default: a new NewTransport. Clients of several mini-programs should share one. A
	// transport that repeats requests breaks the guarantee of Code2Session that a code is sent only once.
	Transport http.RoundTripper

	// Timeout bounds one call, including retries and the pauses before them. Default: 5 s.
	Timeout time.Duration

	// OnCall, if not nil, is called after every attempt, in the goroutine of the caller.
	OnCall func(Call)
}

// Call describes one attempt at WeChat's API, for metrics and circuit breakers.
type Call struct {
	API      string        // "jscode2session", "stable_token" or "getuserphonenumber"
	ErrCode  int           // WeChat's errcode; 0 on success, and if WeChat sent none
	Err      error         // nil on success, otherwise an *Error, free of secrets
	Duration time.Duration // from sending the request to the end of the response
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

// NewClient returns a client for one mini-program. It does not connect. The error joins all errors of the options and
// contains none of their values.
func NewClient(o Options) (*Client, error) {
	o.BaseURL, o.Timeout = cmp.Or(o.BaseURL, defaultBaseURL), cmp.Or(o.Timeout, defaultTimeout)
	base, err := o.validate()
	if err != nil {
		return nil, err
	}
	if o.Transport == nil {
		o.Transport = NewTransport()
	}
	if o.OnCall == nil {
		o.OnCall = func(Call) {}
	}
	return &Client{appID: o.AppID, secret: o.Secret, base: base, transport: o.Transport, timeout: o.Timeout, onCall: o.OnCall}, nil
}

// AppID returns the mini-program's appid.
func (c *Client) AppID() string { return c.appID }

// Format prints the appid alone, for every verb: fmt would show the AppSecret, as it calls no methods of unexported
// fields.
func (c *Client) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "wechat.Client{AppID:%q}", c.appID) }

// validate returns the base URL, without a trailing slash.
func (o Options) validate() (base *url.URL, err error) {
	var errs []error
	check := func(wrong bool, text string) {
		if wrong {
			errs = append(errs, errors.New("wechat: "+text))
		}
	}
	check(o.AppID == "", "the appid is empty")
	check(strings.ContainsFunc(o.AppID, notPrintableASCII), "the appid has a space or a character that is not printable ASCII")
	check(o.Secret == "", "the appsecret is empty")
	check(strings.ContainsFunc(string(o.Secret), notPrintableASCII), "the appsecret has a space or a character that is not printable ASCII")
	base, err = url.Parse(strings.TrimRight(o.BaseURL, "/"))
	check(err != nil || !isBaseURL(base) || strings.ContainsAny(o.BaseURL, "?#"), "the base URL is not an absolute http or https URL without user, query and fragment")
	check(o.Timeout < 0, "the time-out is negative")
	return base, errors.Join(errs...)
}

func notPrintableASCII(r rune) bool { return r <= ' ' || r > '~' }

func isBaseURL(u *url.URL) bool {
	return (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && u.User == nil
}

// maxConns is the maximum of connections to one host.
const maxConns = 1024

// NewTransport returns a transport for many short calls to one host.
//
// It opens up to 1024 connections to a host and keeps all of them while they are idle; net/http's default is 2 idle
// ones, which under load makes every call a TLS handshake. A call above the maximum waits within its time-out. Idle
// connections are closed after 30 s, before a server or a NAT is likely to close them and to lose a request. Connecting
// and the TLS handshake have 2 s each, so that the default time-out of 5 s leaves time for another attempt.
//
// It speaks HTTP/1.1 only, so that a slow response or a lost packet delays one login and not all. It uses the proxy of
// the environment (HTTPS_PROXY, HTTP_PROXY, NO_PROXY), as http.DefaultTransport does. Through an HTTPS proxy the
// AppSecret stays encrypted, but then WeChat's IP whitelist must contain the proxy's address. Set Proxy to nil for a
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
		DisableCompression:     true, // responses are shorter than a packet
		MaxIdleConns:           maxConns,
		MaxIdleConnsPerHost:    maxConns,
		MaxConnsPerHost:        maxConns,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

const redacted = "[redacted]"

// Secret is a string that must not be shown: an AppSecret, a session_key, a phone number. Printed with any verb, logged
// or marshalled it is "[redacted]". To use the value, convert it: string(s).
//
// fmt calls no methods of unexported fields, so a struct that holds a Secret in one must be a fmt.Formatter itself.
type Secret string

// String returns "[redacted]".
func (Secret) String() string { return redacted }

// Format prints "[redacted]" for every verb, also for those that do not call String, such as %x and %#v.
func (Secret) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue returns "[redacted]", for log/slog.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns "[redacted]", for JSON, XML and YAML. encoding/json does not call it for the keys of a map.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
