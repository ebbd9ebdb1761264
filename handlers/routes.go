package handlers

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
)

// Defaults of PublicOptions.
const (
	DefaultStorageTimeout = time.Second
	DefaultLateLoginWait  = 300 * time.Millisecond
	DefaultLoginWait      = 250 * time.Millisecond

	DefaultUploadStopGrace = 5 * time.Second
)

// PublicOptions are the parts of the public listener.
type PublicOptions struct {
	Apps     []CodeExchanger // required; the first serves requests that name no appid
	Sessions Sessions        // required
	Users    Users           // required
	Logger   *slog.Logger    // required
	Metrics  *Metrics        // required

	// PhoneNumbers serves POST /bindPhone. Without it there is no such route.
	PhoneNumbers PhoneNumbers

	// StorageTimeout bounds each step that waits for MySQL or Redis; of a login, both together. Default
	// DefaultStorageTimeout.
	StorageTimeout time.Duration

	// LateLoginWait is how long data that no session_key of its user opens waits, once, for a login under way: another
	// page's wx.login has replaced the key, and the data came before that page's code did. Default DefaultLateLoginWait.
	LateLoginWait time.Duration

	Limits Limits

	// Avatars keeps uploaded pictures. Optional: without it POST /uploadAvatar answers 404 and says why.
	Avatars Avatars
	// OpenAvatar opens a picture by its name for GET /avatars/…. Its error is fs.ErrNotExist if there is no such picture.
	// Optional: without it another server, such as a bucket, serves the pictures.
	OpenAvatar func(name string) (file *os.File, contentType string, err error)

	// Closing ends when the server takes no more connections. Uploads may go on for UploadStopGrace then, and are answered 503
	// after it. Optional.
	Closing context.Context
	// UploadStopGrace is DefaultUploadStopGrace by default.
	UploadStopGrace time.Duration

	// TrustedProxies are the addresses and networks (CIDR) of the proxies in front, whose X-Forwarded-For names the client's
	// address. None: a client's address is that of its connection, and X-Forwarded-For is ignored.
	TrustedProxies []string
}

// Limits bound what the public listener takes on. 0 is no limit.
type Limits struct {
	LoginsInFlight int           // logins at work at the same time; as many may queue
	LoginWait      time.Duration // how long a login may queue. Default DefaultLoginWait

	Logins        int // POST /onLogin, a minute and client address
	Updates       int // POST /updateUserInfo, /bindPhone and /uploadAvatar together, a minute and user
	FailedUpdates int // data that cannot be decrypted, a minute and user

	Uploads int // pictures that are decoded, a day and user

	// Counter counts for the limits a minute, and DailyCounter for those a day. Their windows are RateWindow and DailyWindow.
	// Default: counters in this process.
	Counter, DailyCounter *ratelimit.Counter
}

func (o *PublicOptions) setDefaults() {
	o.StorageTimeout = cmp.Or(o.StorageTimeout, DefaultStorageTimeout)
	o.LateLoginWait = cmp.Or(o.LateLoginWait, DefaultLateLoginWait)
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
		return errors.New("handlers: no app")
	}
	if o.Sessions == nil || o.Users == nil || o.Logger == nil || o.Metrics == nil {
		return errors.New("handlers: Sessions, Users, Logger and Metrics are required")
	}
	return nil
}

// public holds what the routes for mini-programs share.
type public struct {
	apps           map[string]CodeExchanger
	defaultApp     string
	sessions       Sessions
	users          Users
	phoneNumbers   PhoneNumbers
	metrics        *Metrics
	storageTimeout time.Duration
	lateLoginWait  time.Duration

	avatars    Avatars
	openAvatar func(name string) (*os.File, string, error)

	uploadPlaces *places
	decoders     *decoders
	uploadsEnd   context.Context // ends some time after Closing
	logger       *slog.Logger

	admission     *admission
	logins        *ratelimit.Limiter // by client address
	updates       *ratelimit.Limiter // by user
	failedUpdates *ratelimit.Limiter // by user
	dailyUploads  *ratelimit.Limiter // by user
}

// NewPublic makes the handler of the public listener: POST /onLogin, POST /updateUserInfo and POST /logout.
func NewPublic(o PublicOptions) (http.Handler, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	o.setDefaults()
	proxies, err := clientip.ParseNetworks(o.TrustedProxies)
	if err != nil {
		return nil, fmt.Errorf("handlers: TrustedProxies: %w", err)
	}
	clients := &clientAddresses{proxies: proxies, logger: o.Logger, metrics: o.Metrics}
	p := &public{
		apps: make(map[string]CodeExchanger), defaultApp: o.Apps[0].AppID(),
		sessions: o.Sessions, users: o.Users, phoneNumbers: o.PhoneNumbers, metrics: o.Metrics,
		storageTimeout: o.StorageTimeout, lateLoginWait: o.LateLoginWait,
		avatars: o.Avatars, openAvatar: o.OpenAvatar,
		uploadPlaces:  newPlaces(uploadLimits),
		decoders:      newDecoders(runtime.GOMAXPROCS(0)),
		uploadsEnd:    afterGrace(o.Closing, o.UploadStopGrace),
		logger:        o.Logger,
		admission:     newAdmission(o.Limits.LoginsInFlight, o.Limits.LoginWait),
		logins:        o.Limits.Counter.Limiter("logins", o.Limits.Logins),
		updates:       o.Limits.Counter.Limiter("updates", o.Limits.Updates),
		failedUpdates: o.Limits.Counter.Limiter("failed updates", o.Limits.FailedUpdates),
		dailyUploads:  o.Limits.DailyCounter.Limiter("uploads", o.Limits.Uploads),
	}
	for _, app := range o.Apps {
		p.apps[app.AppID()] = app
	}
	o.Metrics.watchLogins(p.admission)
	r := newRouter(o.Logger, slog.LevelInfo, o.Metrics)
	r.With(clients.middleware).Post("/onLogin", handle(p.onLogin))
	r.Post("/updateUserInfo", handle(p.updateUserInfo))
	r.Post("/logout", handle(p.logout))
	if o.PhoneNumbers != nil {
		r.Post("/bindPhone", handle(p.bindPhone))
	}
	r.Get("/userInfo", handle(p.readUserInfo))
	r.With(clients.middleware).Post("/uploadAvatar", handle(p.uploadAvatar))
	if p.openAvatar != nil {
		r.Get(avatar.Path+"{name}", handle(p.serveAvatar))
		r.Head(avatar.Path+"{name}", handle(p.serveAvatar))
	}
	return r, nil
}

// storage bounds a step that waits for MySQL or Redis.
func (p *public) storage(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, p.storageTimeout)
}

// newRouter makes a router with what every listener has: request ids, access log, metrics, recovery, problem answers.
func newRouter(logger *slog.Logger, level slog.Level, metrics *Metrics) *chi.Mux {
	r := chi.NewRouter()
	r.Use(observe(logger, level, metrics), recoverPanics)
	r.NotFound(handle(func(http.ResponseWriter, *http.Request) error {
		return failure{code: codeNotFound}
	}))
	r.MethodNotAllowed(handle(func(w http.ResponseWriter, r *http.Request) error {
		w.Header()["Allow"] = allowedMethods(r)
		return failure{code: codeMethodNotAllowed}
	}))
	return r
}

// allowedMethods lists the methods that the requested path has (RFC 9110, section 10.2.1).
func allowedMethods(r *http.Request) []string {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
		if chi.RouteContext(r.Context()).Routes.Match(chi.NewRouteContext(), method, r.URL.Path) {
			allowed = append(allowed, method)
		}
	}
	return allowed
}

const (
	contentTypeJSON    = "application/json; charset=utf-8"
	contentTypeProblem = "application/problem+json; charset=utf-8"
)

// handle adapts a handler that returns its error.
func handle(h func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			writeFailure(w, r, classify(err))
		}
	}
}

// writeJSON answers a request that succeeded or, for health checks, did not.
func writeJSON(w http.ResponseWriter, status int, body any) error {
	writeBody(w, status, contentTypeJSON, body)
	return nil
}

// writeBody writes a whole answer. Bodies are structs of this package, so that encoding cannot fail; a client that is
// gone cannot be told anything, so the error of Write has no reader.
func writeBody(w http.ResponseWriter, status int, contentType string, body any) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		panic("handlers: answer cannot be encoded: " + err.Error())
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(buf.Len()))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(buf.Bytes())
}
