package client

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Defaults and bounds of Options.
const (
	DefaultTimeout = 3 * time.Second
	DefaultRetries = 2

	MaxCacheTTL = time.Minute
)

// Options configure a Client. BaseURL is required.
type Options struct {
	// BaseURL is the address of the server's internal listener, such as http://127.0.0.1:9090.
	BaseURL string

	// APIKey is the server's INTERNAL_API_KEY. The server needs none on loopback, except for what changes users.
	APIKey string

	// HTTPClient sends the requests, for example with a TLS configuration. Redirects are never followed. Default: a client
	// that keeps connections open and uses no proxy.
	HTTPClient *http.Client

	// Timeout bounds each call, repeats included. Default 3 seconds, which is more than the server waits for its databases.
	// AccessToken and RefreshAccessToken, for which the server may have to ask WeChat, may take 10 seconds in any case.
	Timeout time.Duration

	// Retries is how often a call may be repeated. Default 2; a negative number: never.
	Retries int

	// CacheTTL is how long Introspect and Middleware keep an active token. A logout or a block shows later by as much.
	// Default 0: every token is asked about each time. At most a minute.
	CacheTTL time.Duration

	// ErrorHandler writes the response of Middleware to a request that it does not pass on. err is ErrInvalidToken, or it
	// matches another of this package's errors, and then the token may be valid. Default WriteError.
	ErrorHandler func(w http.ResponseWriter, r *http.Request, err error)
}

func (o *Options) setDefaults() {
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	o.Retries = max(0, cmp.Or(o.Retries, DefaultRetries))
	if o.ErrorHandler == nil {
		o.ErrorHandler = WriteError
	}
}

// validate reports all errors of the options at once. They do not repeat the URL or the key, which may hold a secret.
func (o *Options) validate() error {
	var errs []error
	if u, err := url.Parse(o.BaseURL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		errs = append(errs, errors.New("wxlogin: BaseURL must be the address of the internal listener, such as http://127.0.0.1:9090"))
	} else if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		errs = append(errs, errors.New("wxlogin: BaseURL must have no user, query or fragment"))
	}
	if strings.ContainsFunc(o.APIKey, func(r rune) bool { return r <= ' ' || r > '~' }) {
		errs = append(errs, errors.New("wxlogin: APIKey has a space or a character that is not printable ASCII"))
	}
	if o.Timeout < 0 {
		errs = append(errs, fmt.Errorf("wxlogin: Timeout %v is negative", o.Timeout))
	}
	if o.CacheTTL < 0 || o.CacheTTL > MaxCacheTTL {
		errs = append(errs, fmt.Errorf("wxlogin: CacheTTL %v is not between 0 and %v", o.CacheTTL, MaxCacheTTL))
	}
	return errors.Join(errs...)
}

// Client calls the login server's internal listener. It is safe for concurrent use; a service needs one.
type Client struct {
	base         *url.URL
	authorize    func(http.Header) // adds the key; a function, so that a printed Client does not show it
	http         *http.Client
	timeout      time.Duration
	retries      int
	cache        *cache // nil: nothing is kept
	errorHandler func(http.ResponseWriter, *http.Request, error)
}

// New returns a Client. It does not connect. All errors of the options are reported at once.
func New(o Options) (*Client, error) {
	o.setDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	base, err := url.Parse(o.BaseURL)
	if err != nil {
		return nil, err
	}
	key := o.APIKey
	authorize := func(h http.Header) {
		if key != "" {
			h.Set("X-Api-Key", key)
		}
	}
	return &Client{
		base: base, authorize: authorize, http: newHTTPClient(o.HTTPClient), timeout: o.Timeout, retries: o.Retries,
		cache: newCache(o.CacheTTL), errorHandler: o.ErrorHandler,
	}, nil
}

// newHTTPClient returns a copy of a client that follows no redirects: they would take key and token to another address.
func newHTTPClient(given *http.Client) *http.Client {
	var c http.Client
	if given != nil {
		c = *given
	} else {
		c.Transport = &http.Transport{
			MaxIdleConnsPerHost: 64, IdleConnTimeout: 30 * time.Second, MaxResponseHeaderBytes: 64 << 10,
		}
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}
