package handlers

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"

	"wxlogin/internal/avatar"
	"wxlogin/internal/clientip"
	"wxlogin/internal/ratelimit"
	"wxlogin/wechat/push"
)

// Defaults of PublicOptions.
const (
	DefaultStorageTimeout    = time.Second
	DefaultDecryptRetryDelay = 300 * time.Millisecond
	DefaultLoginWait         = 250 * time.Millisecond
	DefaultUploadStopGrace   = 5 * time.Second
)

// PublicOptions configure the public listener.
type PublicOptions struct {
	Apps     []CodeExchanger // required; the first one serves requests without an appid
	Sessions Sessions        // required
	Users    Users           // required
	Logger   *slog.Logger    // required
	Metrics  *Metrics        // required

	// Eraser erases users, for POST /deleteAccount, POST /unbindPhone and the messages that WeChat pushes. Required.
	Eraser Eraser

	// Pushes reads the messages that WeChat pushes to POST /wechatPush/{appid}, by appid. Optional: for an app without one
	// the route does not exist.
	Pushes map[string]*push.Receiver
	// PushForward is the URL that gets the messages that are not about personal data. Optional: without it they are
	// confirmed and dropped.
	PushForward string

	// PhoneNumbers serves POST /bindPhone. Optional: without it the route does not exist.
	PhoneNumbers PhoneNumbers

	// StorageTimeout bounds each step that waits for MySQL or Redis; in a login, both together. Default
	// DefaultStorageTimeout.
	StorageTimeout time.Duration

	// DecryptRetryDelay is how long to wait before decryption is retried, once, if no session_key of the user fits. A
	// concurrent wx.login may have replaced the key, and its code may arrive after the data. Default
	// DefaultDecryptRetryDelay.
	DecryptRetryDelay time.Duration

	Limits Limits

	// Avatars stores uploaded pictures. Optional: without it POST /uploadAvatar returns 404 and says why.
	Avatars Avatars
	// OpenAvatar opens a picture by its name for GET /avatars/…. Its error is fs.ErrNotExist if there is no such
	// picture. Optional: without it another server, such as a bucket, serves the pictures.
	OpenAvatar func(name string) (file *os.File, contentType string, err error)

	// Closing ends when the server stops accepting connections. Uploads may then continue for UploadStopGrace; after
	// that they fail with 503. Optional.
	Closing context.Context
	// UploadStopGrace is DefaultUploadStopGrace by default.
	UploadStopGrace time.Duration

	// TrustedProxies are the networks of the proxies in front of the server. X-Forwarded-For is
	// ignored unless the connection comes from one of them.
	TrustedProxies clientip.Networks
}

// Limits bound the load on the public listener. 0 means no limit.
type Limits struct {
	LoginsInFlight int           // concurrent logins; as many more may queue
	LoginWait      time.Duration // how long a login may queue. Default DefaultLoginWait

	Logins        int // POST /onLogin, per minute and client address
	Updates       int // POST /updateUserInfo, /bindPhone and /uploadAvatar together, per minute and user
	FailedUpdates int // data that cannot be decrypted, per minute and user, on both listeners together

	Uploads int // decoded pictures, per day and user

	// Counter counts for the limits per minute, and DailyCounter for those per day. Their windows are RateWindow and
	// DailyWindow. Default: counters in this process.
	Counter, DailyCounter *ratelimit.Counter
}

func (o *PublicOptions) setDefaults() {
	o.StorageTimeout = cmp.Or(o.StorageTimeout, DefaultStorageTimeout)
	o.DecryptRetryDelay = cmp.Or(o.DecryptRetryDelay, DefaultDecryptRetryDelay)
	o.UploadStopGrace = cmp.Or(o.UploadStopGrace, DefaultUploadStopGrace)
	o.Limits.LoginWait = cmp.Or(o.Limits.LoginWait, DefaultLoginWait)
	if o.Limits.Counter == nil {
		o.Limits.Counter = ratelimit.New(ratelimit.Options{Window: RateWindow})
	}
	if o.Limits.DailyCounter == nil {
		o.Limits.DailyCounter = ratelimit.New(ratelimit.Options{Window: DailyWindow})
	}
}

func (o *PublicOptions) validate() error {
	if len(o.Apps) == 0 {
		return errors.New("handlers: Apps is empty")
	}
	if o.Sessions == nil || o.Users == nil || o.Eraser == nil || o.Logger == nil || o.Metrics == nil {
		return errors.New("handlers: Sessions, Users, Eraser, Logger and Metrics are required")
	}
	return nil
}

// public is the state that the routes for mini-programs share.
type public struct {
	apps       map[string]CodeExchanger // by appid
	defaultApp string

	accounts
	decryptor    *decryptor
	eraser       Eraser
	pushes       *pushes
	phoneNumbers PhoneNumbers // nil: no POST /bindPhone
	avatars      Avatars      // nil: no uploads
	openAvatar   func(name string) (*os.File, string, error)

	logger  *slog.Logger
	metrics *Metrics

	loginSlots    *loginSemaphore
	uploadSlots   *uploadSlots
	decoders      *decoders
	uploadsClosed context.Context // ends UploadStopGrace after Closing

	loginLimiter  *ratelimit.Limiter // by client address
	updateLimiter *ratelimit.Limiter // by user
	uploadLimiter *ratelimit.Limiter // by user
}

// NewPublic returns the handler of the public listener, which serves mini-programs.
func NewPublic(o PublicOptions) (http.Handler, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	o.setDefaults()
	p := newPublic(o)
	o.Metrics.watchLogins(p.loginSlots)
	clients := &clientAddresses{proxies: o.TrustedProxies, logger: o.Logger, metrics: o.Metrics}
	r := newRouter(o.Logger, slog.LevelInfo, o.Metrics)
	p.mount(r, clients.middleware)
	return r, nil
}

func newPublic(o PublicOptions) *public {
	accounts := accounts{o.Sessions, o.Users, o.StorageTimeout}
	p := &public{
		apps: make(map[string]CodeExchanger), defaultApp: o.Apps[0].AppID(),
		accounts:  accounts,
		decryptor: newDecryptor(accounts, o.Limits.Counter, o.Limits.FailedUpdates, o.DecryptRetryDelay, o.Metrics),
		eraser:    o.Eraser, pushes: newPushes(o),
		phoneNumbers: o.PhoneNumbers, avatars: o.Avatars, openAvatar: o.OpenAvatar,
		logger: o.Logger, metrics: o.Metrics,
		loginSlots:    newLoginSemaphore(o.Limits.LoginsInFlight, o.Limits.LoginWait),
		uploadSlots:   newUploadSlots(uploadLimits),
		decoders:      newDecoders(runtime.GOMAXPROCS(0)),
		uploadsClosed: delayedCancel(o.Closing, o.UploadStopGrace),
		loginLimiter:  o.Limits.Counter.Limiter("logins", o.Limits.Logins),
		updateLimiter: o.Limits.Counter.Limiter("updates", o.Limits.Updates),
		uploadLimiter: o.Limits.DailyCounter.Limiter("uploads", o.Limits.Uploads),
	}
	for _, app := range o.Apps {
		p.apps[app.AppID()] = app
	}
	return p
}

// mount adds the routes to r. withClient is the middleware of the routes that need the client's address.
func (p *public) mount(r *chi.Mux, withClient func(http.Handler) http.Handler) {
	r.With(withClient).Post("/onLogin", handle(p.onLogin))
	r.Post("/updateUserInfo", handle(p.updateUserInfo))
	r.Post("/logout", handle(p.logout))
	if p.phoneNumbers != nil {
		r.Post("/bindPhone", handle(p.bindPhone))
	}
	r.Get("/userInfo", handle(p.getUserInfo))
	r.Get("/myData", handle(p.getMyData))
	r.Post("/unbindPhone", handle(p.unbindPhone))
	r.Post("/deleteAccount", handle(p.deleteAccount))
	r.Get("/wechatPush/{appid}", handle(p.pushes.check))
	r.Post("/wechatPush/{appid}", handle(p.pushes.receive))
	r.With(withClient).Post("/uploadAvatar", handle(p.uploadAvatar))
	if p.openAvatar != nil {
		r.Get(avatar.Path+"{name}", handle(p.serveAvatar))
		r.Head(avatar.Path+"{name}", handle(p.serveAvatar))
	}
}

// newRouter returns a router with what both listeners have: request ids, access log, metrics, recovery and problem
// responses. Successful requests are logged at the given level.
func newRouter(logger *slog.Logger, level slog.Level, metrics *Metrics) *chi.Mux {
	r := chi.NewRouter()
	r.Use(accessLog(logger, level, metrics), recoverPanics)
	r.NotFound(handle(func(http.ResponseWriter, *http.Request) error {
		return apiError{code: codeNotFound}
	}))
	r.MethodNotAllowed(handle(func(w http.ResponseWriter, r *http.Request) error {
		w.Header()["Allow"] = allowedMethods(r)
		return apiError{code: codeMethodNotAllowed}
	}))
	return r
}

// allowedMethods returns the methods of the requested path (RFC 9110, section 10.2.1).
func allowedMethods(r *http.Request) []string {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete} {
		if chi.RouteContext(r.Context()).Routes.Match(chi.NewRouteContext(), method, r.URL.Path) {
			allowed = append(allowed, method)
		}
	}
	return allowed
}

// handle adapts a handler that returns an error. If it does, nothing may have been written.
func handle(h func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			writeProblem(w, r, toAPIError(err))
		}
	}
}

const (
	contentTypeJSON    = "application/json; charset=utf-8"
	contentTypeProblem = "application/problem+json; charset=utf-8"
)

// writeJSON writes a response that is not a problem. The error is always nil, so that handlers can return it.
func writeJSON(w http.ResponseWriter, status int, body any) error {
	writeBody(w, status, contentTypeJSON, body)
	return nil
}

// writeBody writes a whole response. body is a struct of this package, so encoding cannot fail. The error of Write is
// ignored: it means that the client has disconnected.
func writeBody(w http.ResponseWriter, status int, contentType string, body any) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		panic("handlers: cannot encode the response: " + err.Error())
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(buf.Len()))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(buf.Bytes())
}
