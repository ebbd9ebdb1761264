package handlers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"strconv"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"

	"wxlogin/internal/request"
	"wxlogin/session"
	"wxlogin/store"
)

// checkTimeout bounds each check of GET /readyz.
const checkTimeout = time.Second

// Check is one thing that the server cannot work without. Func answers nil when it is there.
type Check struct {
	Name string
	Func func(ctx context.Context) error
}

// InternalOptions are the parts of the internal listener.
type InternalOptions struct {
	Checks  []Check      // what GET /readyz asks
	Logger  *slog.Logger // required
	Metrics *Metrics     // required

	Sessions Sessions // required
	Users    Users    // required

	// APIKey is what other services must give to ask /introspect and /verify. Empty: nobody has to.
	APIKey string

	// StorageTimeout bounds each step that waits for MySQL or Redis. Default DefaultStorageTimeout.
	StorageTimeout time.Duration
}

// NewInternal makes the handler of the internal listener: GET /healthz, /readyz and /metrics for operators, POST /introspect
// and /verify for other services and gateways. It belongs on an address that mini-programs cannot reach.
func NewInternal(o InternalOptions) (http.Handler, error) {
	if o.Logger == nil || o.Metrics == nil || o.Sessions == nil || o.Users == nil {
		return nil, errors.New("handlers: Logger, Metrics, Sessions and Users are required")
	}
	c := &tokenChecks{
		sessions: o.Sessions, users: o.Users, metrics: o.Metrics,
		storageTimeout: cmp.Or(o.StorageTimeout, DefaultStorageTimeout),
	}
	r := newRouter(o.Logger, slog.LevelDebug, o.Metrics) // probes and scrapes come all the time
	r.Get("/healthz", handle(healthz))
	r.Get("/readyz", handle(readyz(o.Checks)))
	r.Method(http.MethodGet, "/metrics", o.Metrics.handler())
	r.Method(http.MethodPost, "/introspect", keyHolders(o.APIKey, keyOfCaller, codeInvalidAPIKey, handle(c.introspect)))
	addProfiles(r, func(next http.Handler) http.Handler {
		return keyHolders(o.APIKey, keyOfCaller, codeInvalidAPIKey, next)
	})
	verify := keyHolders(o.APIKey, keyInHeader, codeForbidden, handle(c.verify))
	r.Handle("/verify", verify)
	r.Handle("/verify/*", verify)
	return r, nil
}

// healthAnswer is what /healthz and /readyz answer.
type healthAnswer struct {
	Status int               `json:"status"`
	Checks map[string]string `json:"checks,omitempty"` // by name: ok or failed
}

// healthz tells that the process serves.
func healthz(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, healthAnswer{Status: http.StatusOK})
}

// readyz reports whether requests can be served: 200, or 503 if a check fails. The causes go to the log, at the level of requests
// that succeed: probes come all the time, and not being ready is no fault of theirs.
func readyz(checks []Check) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		answer := healthAnswer{Status: http.StatusOK, Checks: make(map[string]string)}
		var faults []error
		for i, err := range runChecks(r.Context(), checks) {
			answer.Checks[checks[i].Name] = "ok"
			if err != nil {
				answer.Checks[checks[i].Name] = "failed"
				answer.Status = http.StatusServiceUnavailable
				faults = append(faults, fmt.Errorf("%s: %w", checks[i].Name, err))
			}
		}
		scope := scopeOf(r.Context())
		scope.failure.cause, scope.expected = errors.Join(faults...), true
		return writeJSON(w, answer.Status, answer)
	}
}

// runChecks runs all checks side by side, each within checkTimeout.
func runChecks(ctx context.Context, checks []Check) []error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	errs := make([]error, len(checks))
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() { errs[i] = c.Func(ctx) })
	}
	wg.Wait()
	return errs
}

// addProfiles serves Go's runtime profiles to go tool pprof: GET /debug/pprof/profile?seconds=10, heap, goroutine and so on.
// They show where the server spends its time and memory, not what is in it. A CPU profile must be shorter than the
// listener's time for an answer.
func addProfiles(r *chi.Mux, guard func(http.Handler) http.Handler) {
	r.Method(http.MethodGet, "/debug/pprof/profile", guard(http.HandlerFunc(pprof.Profile)))
	r.Method(http.MethodGet, "/debug/pprof/symbol", guard(http.HandlerFunc(pprof.Symbol)))
	r.Method(http.MethodGet, "/debug/pprof/{name}", guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pprof.Handler(chi.URLParam(r, "name")).ServeHTTP(w, r)
	})))
}

// tokenChecks answers other services whose token they were shown.
type tokenChecks struct {
	sessions       Sessions
	users          Users
	metrics        *Metrics
	storageTimeout time.Duration
}

// holder is who a token stands for.
type holder struct {
	session session.Session
	user    store.User
	expires time.Time
}

// check finds the holder of a token, and starts the session's idle expiry again. A user who is not active is
// refused, as on the public listener.
func (c *tokenChecks) check(ctx context.Context, token string) (holder, error) {
	h, err := c.find(ctx, token)
	c.metrics.tokenCheck(err)
	return h, err
}

func (c *tokenChecks) find(ctx context.Context, token string) (holder, error) {
	sess, err := c.lookup(ctx, token)
	if err != nil {
		return holder{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.storageTimeout)
	defer cancel()
	user, err := c.users.FindOnReplica(ctx, sess.AppID, sess.OpenID)
	if err != nil {
		return holder{}, err
	}
	scopeOf(ctx).appID = sess.AppID
	return holder{sess, user, c.sessions.ExpiresAt(sess)}, refuseDisabled(ctx, user)
}

func (c *tokenChecks) lookup(ctx context.Context, token string) (session.Session, error) {
	ctx, cancel := context.WithTimeout(ctx, c.storageTimeout)
	defer cancel()
	return c.sessions.Lookup(ctx, token)
}

// introspection is what POST /introspect answers (RFC 7662, section 2.2). Of a token that is not active, nothing more is
// told.
type introspection struct {
	Active    bool   `json:"active"`
	TokenType string `json:"token_type,omitempty"`
	Subject   string `json:"sub,omitempty"`       // users.id
	ClientID  string `json:"client_id,omitempty"` // appid
	ExpiresAt int64  `json:"exp,omitempty"`       // seconds of Unix time: if the token is not used again
	IssuedAt  int64  `json:"iat,omitempty"`       // seconds of Unix time
	OpenID    string `json:"openid,omitempty"`
	UnionID   string `json:"unionid,omitempty"` // where it is known
}

// introspect tells another service whose token it was shown.
func (c *tokenChecks) introspect(w http.ResponseWriter, r *http.Request) error {
	f, err := request.Read(w, r)
	if err != nil {
		return err
	}
	token, err := f.Required("token")
	if err != nil {
		return err
	}
	h, err := c.check(r.Context(), token)
	if err != nil {
		if outcomeOf(err) == tokenFailed {
			return err
		}
		return writeJSON(w, http.StatusOK, introspection{})
	}
	return writeJSON(w, http.StatusOK, introspection{
		Active: true, TokenType: "Bearer", Subject: strconv.FormatUint(h.user.ID, 10), ClientID: h.session.AppID,
		ExpiresAt: h.expires.Unix(), IssuedAt: h.session.CreatedAt.Unix(),
		OpenID: h.session.OpenID, UnionID: h.user.UnionID,
	})
}

// The headers in which a gateway is told whose request it has. It must take them from this answer alone, and not let
// through what a client sends under these names.
const (
	headerUserID  = "X-User-Id"
	headerAppID   = "X-Wechat-Appid"
	headerOpenID  = "X-Wechat-Openid"
	headerUnionID = "X-Wechat-Unionid"
)

// verifyAnswer is what /verify answers.
type verifyAnswer struct {
	Status int `json:"status"`
}

// verify tells a gateway, in the answer's header, whose request it has: nginx's auth_request, forward_auth of Caddy and
// Traefik, Envoy's ext_authz. Some of them send the method and path of the request at hand; neither matters here.
func (c *tokenChecks) verify(w http.ResponseWriter, r *http.Request) error {
	token, _ := session.BearerToken(r.Header)
	h, err := c.check(r.Context(), token)
	if err != nil {
		return err
	}
	header := w.Header()
	header.Set(headerUserID, strconv.FormatUint(h.user.ID, 10))
	header.Set(headerAppID, h.session.AppID)
	header.Set(headerOpenID, h.session.OpenID)
	if h.user.UnionID != "" {
		header.Set(headerUnionID, h.user.UnionID)
	}
	return writeJSON(w, http.StatusOK, verifyAnswer{Status: http.StatusOK})
}
