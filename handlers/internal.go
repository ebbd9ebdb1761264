package handlers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"
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
