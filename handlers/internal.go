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

	"wxlogin/internal/ratelimit"
	"wxlogin/internal/request"
	"wxlogin/session"
	"wxlogin/store"
)

// checkTimeout bounds each check of GET /readyz.
const checkTimeout = time.Second

// Check is a condition of readiness. Func returns nil if it holds.
type Check struct {
	Name string
	Func func(ctx context.Context) error
}

// InternalOptions configure the internal listener.
type InternalOptions struct {
	Checks   []Check      // of GET /readyz
	Sessions Sessions     // required
	Users    Users        // required
	Logger   *slog.Logger // required
	Metrics  *Metrics     // required

	// AppIDs are the mini-programs of this server. The first one serves requests without an appid.
	AppIDs []string
	Eraser Eraser // required

	// Directory serves the routes about users.
	Directory Directory // required
	// Avatars makes URLs of stored pictures. Optional.
	Avatars Avatars

	// APIKeys are the keys of other services. If there are none, routes that read need none, and routes that write reject
	// every request.
	APIKeys []APIKey

	// FailedUpdates and Counter are those of the public listener's Limits: data that cannot be decrypted counts there and
	// for POST /decrypt together. Default: no limit.
	FailedUpdates int
	Counter       *ratelimit.Counter
	// DecryptRetryDelay is as in PublicOptions.
	DecryptRetryDelay time.Duration

	// AccessTokens serve GET and POST /accessToken, by appid: one for each of AppIDs. Optional: without them the routes do
	// not exist.
	AccessTokens map[string]AccessTokens

	// StorageTimeout bounds each step that waits for MySQL or Redis. Default DefaultStorageTimeout.
	StorageTimeout time.Duration
}

func (o *InternalOptions) setDefaults() {
	o.StorageTimeout = cmp.Or(o.StorageTimeout, DefaultStorageTimeout)
	o.DecryptRetryDelay = cmp.Or(o.DecryptRetryDelay, DefaultDecryptRetryDelay)
	if o.Counter == nil {
		o.Counter = ratelimit.New(ratelimit.Options{Window: RateWindow})
	}
}

// NewInternal returns the handler of the internal listener, which serves operators, other services and gateways.
// Mini-programs must not be able to reach it.
func NewInternal(o InternalOptions) (http.Handler, error) {
	if o.Logger == nil || o.Metrics == nil || o.Sessions == nil || o.Users == nil || o.Eraser == nil || o.Directory == nil {
		return nil, errors.New("handlers: Sessions, Users, Directory, Eraser, Logger and Metrics are required")
	}
	o.setDefaults()
	i := &introspector{accounts{o.Sessions, o.Users, o.StorageTimeout}, o.Metrics}
	guard := func(next http.Handler) http.Handler {
		return requireAPIKey(o.APIKeys, apiKeyOf, codeInvalidAPIKey, next)
	}
	r := newRouter(o.Logger, slog.LevelDebug, o.Metrics) // at Debug, because probes and scrapes are frequent
	r.Get("/healthz", handle(healthz))
	r.Get("/readyz", handle(readyz(o.Checks)))
	r.Method(http.MethodGet, "/metrics", o.Metrics.handler())
	r.Method(http.MethodPost, "/introspect", guard(handle(i.introspect)))
	mountPprof(r, guard)
	mountSessionKey(r, o, i, guard)
	mountUsers(r, o, guard)
	mountAccessToken(r, o)
	verify := requireAPIKey(o.APIKeys, apiKeyFromHeader, codeForbidden, handle(i.verify))
	r.Handle("/verify", verify)
	r.Handle("/verify/*", verify)
	return r, nil
}

// healthResponse is the response of /healthz and /readyz.
type healthResponse struct {
	Status int               `json:"status"`
	Checks map[string]string `json:"checks,omitempty"` // by name: ok or failed
}

// healthz serves GET /healthz, which succeeds while the process runs.
func healthz(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, healthResponse{Status: http.StatusOK})
}

// readyz serves GET /readyz: 200, or 503 if a check fails. A 503 is logged with its causes at the level of successful
// requests, because probes are frequent and a server that is not ready has not failed.
func readyz(checks []Check) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		response := healthResponse{Status: http.StatusOK, Checks: make(map[string]string)}
		var errs []error
		for i, err := range runChecks(r.Context(), checks) {
			response.Checks[checks[i].Name] = "ok"
			if err != nil {
				response.Checks[checks[i].Name] = "failed"
				response.Status = http.StatusServiceUnavailable
				errs = append(errs, fmt.Errorf("%s: %w", checks[i].Name, err))
			}
		}
		log := requestLogFrom(r.Context())
		log.err.cause, log.expected = errors.Join(errs...), true
		return writeJSON(w, response.Status, response)
	}
}

// runChecks runs all checks concurrently, each within checkTimeout.
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

// mountPprof adds GET /debug/pprof/… for go tool pprof: profile?seconds=10, heap, goroutine and so on. Profiles show
// where the server spends time and memory, not the contents of memory. A CPU profile must be shorter than the
// listener's write timeout.
func mountPprof(r *chi.Mux, guard func(http.Handler) http.Handler) {
	r.Method(http.MethodGet, "/debug/pprof/profile", guard(http.HandlerFunc(pprof.Profile)))
	r.Method(http.MethodGet, "/debug/pprof/symbol", guard(http.HandlerFunc(pprof.Symbol)))
	r.Method(http.MethodGet, "/debug/pprof/{name}", guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pprof.Handler(chi.URLParam(r, "name")).ServeHTTP(w, r)
	})))
}

// introspector finds the owners of tokens for other services and gateways.
type introspector struct {
	accounts
	metrics *Metrics
}

// introspectResponse is the response of POST /introspect (RFC 7662, section 2.2). For a token that is not active, all
// fields but Active are left out.
type introspectResponse struct {
	Active    bool   `json:"active"`
	TokenType string `json:"token_type,omitempty"`
	Subject   string `json:"sub,omitempty"`       // users.id
	ClientID  string `json:"client_id,omitempty"` // appid
	ExpiresAt int64  `json:"exp,omitempty"`       // Unix time in seconds, if the token is not used again
	IssuedAt  int64  `json:"iat,omitempty"`       // Unix time in seconds
	OpenID    string `json:"openid,omitempty"`
	UnionID   string `json:"unionid,omitempty"` // if it is known
	// ExternalID is the user in another system, if it has one there.
	ExternalID string `json:"external_id,omitempty"`
}

// introspect serves POST /introspect, which returns the owner of a token.
func (i *introspector) introspect(w http.ResponseWriter, r *http.Request) error {
	f, err := request.Read(w, r)
	if err != nil {
		return err
	}
	token, err := f.Required("token")
	if err != nil {
		return err
	}
	owner, err := i.owner(r.Context(), token)
	if err != nil {
		if tokenOutcome(err) == tokenFailed {
			return err
		}
		return writeJSON(w, http.StatusOK, introspectResponse{})
	}
	return writeJSON(w, http.StatusOK, introspectResponse{
		Active: true, TokenType: "Bearer", Subject: strconv.FormatUint(owner.user.ID, 10), ClientID: owner.session.AppID,
		ExpiresAt: owner.expiresAt.Unix(), IssuedAt: owner.session.CreatedAt.Unix(),
		OpenID: owner.session.OpenID, UnionID: owner.user.UnionID, ExternalID: owner.user.ExternalID,
	})
}

// The response headers of /verify. A gateway must copy them from the response, and must not pass on headers of these
// names that a client sends.
const (
	headerUserID     = "X-User-Id"
	headerExternalID = "X-User-External-Id"
	headerAppID      = "X-Wechat-Appid"
	headerOpenID     = "X-Wechat-Openid"
	headerUnionID    = "X-Wechat-Unionid"
)

// verify serves /verify for gateways: nginx's auth_request, forward_auth of Caddy and Traefik, Envoy's ext_authz. It
// returns the owner of the token in the response headers. It ignores method and path, because some gateways use those
// of the request that they are about to forward.
func (i *introspector) verify(w http.ResponseWriter, r *http.Request) error {
	token, _ := session.BearerToken(r.Header)
	owner, err := i.owner(r.Context(), token)
	if err != nil {
		return err
	}
	header := w.Header()
	header.Set(headerUserID, strconv.FormatUint(owner.user.ID, 10))
	header.Set(headerAppID, owner.session.AppID)
	header.Set(headerOpenID, owner.session.OpenID)
	for name, value := range map[string]string{headerUnionID: owner.user.UnionID, headerExternalID: owner.user.ExternalID} {
		if value != "" {
			header.Set(name, value)
		}
	}
	return writeJSON(w, http.StatusOK, statusResponse{Status: http.StatusOK})
}

// tokenOwner is the session of a token and its user.
type tokenOwner struct {
	session   session.Session
	user      store.User
	expiresAt time.Time
}

// owner returns the owner of a token, restarts the session's idle expiry, and counts the outcome. A user who is not
// active is rejected, as on the public listener.
func (i *introspector) owner(ctx context.Context, token string) (tokenOwner, error) {
	owner, err := i.findOwner(ctx, token)
	i.metrics.tokenCheck(err)
	return owner, err
}

func (i *introspector) findOwner(ctx context.Context, token string) (tokenOwner, error) {
	sess, err := i.findSession(ctx, token)
	if err != nil {
		return tokenOwner{}, err
	}
	ctx, cancel := i.withStorageTimeout(ctx)
	defer cancel()
	user, err := i.users.FindOnReplica(ctx, sess.AppID, sess.OpenID)
	if err != nil {
		return tokenOwner{}, err
	}
	return tokenOwner{sess, user, i.sessions.ExpiresAt(sess)}, rejectDisabled(ctx, user)
}
