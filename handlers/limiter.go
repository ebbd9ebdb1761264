package handlers

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"wxlogin/internal/clientip"
	"wxlogin/session"
)

// The windows of Limits.Counter and Limits.DailyCounter. They slide.
const (
	RateWindow  = time.Minute
	DailyWindow = 24 * time.Hour
)

// refusal is a bound of this server's own that a request went beyond, as it stands in the metrics.
type refusal string

const (
	overload         refusal = "logins_in_flight"
	loginRate        refusal = "login_rate"
	updateRate       refusal = "update_rate"
	failedUpdateRate refusal = "failed_update_rate"
	uploadsInFlight  refusal = "uploads_in_flight"
	dailyUploads     refusal = "daily_uploads"
)

// refused counts a refusal and returns the failure that the client gets.
func (p *public) refused(why refusal) error {
	p.metrics.refusal(why)
	switch why {
	case overload:
		return failure{code: codeWeChatUnavailable, detail: "As many logins wait for WeChat as this server carries."}
	case uploadsInFlight:
		return failure{code: codeStorageUnavailable, detail: "Too many uploads in progress."}
	case dailyUploads:
		return failure{code: codeRateLimited, detail: "Too many pictures today.", retryAfter: 3600}
	}
	return failure{code: codeRateLimited}
}

// unreadableClient is the rate limit key that all clients share whose address a trusted proxy has written in a way that cannot
// be parsed.
const unreadableClient = "unreadable"

// clientAddresses finds the client of each request, for limits by address.
type clientAddresses struct {
	proxies clientip.Networks
	logger  *slog.Logger
	metrics *Metrics
	warned  atomic.Bool
}

// middleware stores the rate limit key of the client, which clientKey returns.
func (c *clientAddresses) middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scopeOf(r.Context()).client = c.key(r)
		next.ServeHTTP(w, r)
	})
}

// clientKey returns the rate limit key of a request's client. The route must use the middleware of clientAddresses.
func clientKey(r *http.Request) string { return scopeOf(r.Context()).client }

func (c *clientAddresses) key(r *http.Request) string {
	addr, ok := c.proxies.Client(r)
	if !ok {
		c.metrics.unreadableForwardedFor.Inc()
		if !c.warned.Swap(true) {
			c.logger.WarnContext(r.Context(),
				"a trusted proxy sends an X-Forwarded-For that cannot be read: such requests share one LOGIN_RATE_LIMIT (logged once)")
		}
		return unreadableClient
	}
	return clientip.Key(addr)
}

// userKey names a user for limits. An appid has no colon.
func userKey(sess session.Session) string { return sess.AppID + ":" + sess.OpenID }

// admission bounds how many logins are at work at the same time: each holds a call of WeChat. Some more may queue for a
// short time; the rest are refused at once, so that latency and memory stay bounded whatever arrives. A nil admission lets
// everybody in.
type admission struct {
	working chan struct{}
	queued  chan struct{}
	wait    time.Duration
}

// newAdmission makes an admission of limit logins at work and as many in the queue, each of these for at most wait. A limit of 0
// makes none.
func newAdmission(limit int, wait time.Duration) *admission {
	if limit == 0 {
		return nil
	}
	return &admission{working: make(chan struct{}, limit), queued: make(chan struct{}, limit), wait: wait}
}

// enter waits for a place and reports whether there is one. A caller that got one must leave.
func (a *admission) enter(ctx context.Context) bool {
	if a == nil {
		return true
	}
	select {
	case a.working <- struct{}{}:
		return true
	default:
	}
	select {
	case a.queued <- struct{}{}:
		defer func() { <-a.queued }()
	default:
		return false
	}
	timer := time.NewTimer(a.wait)
	defer timer.Stop()
	select {
	case a.working <- struct{}{}:
		return true
	case <-timer.C:
		return false
	case <-ctx.Done():
		return false
	}
}

func (a *admission) leave() {
	if a != nil {
		<-a.working
	}
}
