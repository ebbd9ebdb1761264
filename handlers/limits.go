package handlers

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"wxlogin/internal/avatar"
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

// placeLimits bound how many uploads are in flight: in all, which bounds their memory, and of each user and client address, so
// that a few slow clients cannot take all places.
type placeLimits struct{ all, perUser, perAddress int }

// place is what one upload takes.
type place struct{ user, address string }

// places hands out places for uploads. Requests that find none wait, which costs no more than a connection: their bodies are
// not read yet.
type places struct {
	limits placeLimits

	mu        sync.Mutex
	taken     int
	users     map[string]int
	addresses map[string]int
	waiting   []*placeRequest // in the order of arrival
}

type placeRequest struct {
	place
	granted chan struct{}
}

func newPlaces(limits placeLimits) *places {
	return &places{limits: limits, users: make(map[string]int), addresses: make(map[string]int)}
}

// acquire waits for a place and reports whether it got one before ctx ended. It must be released then.
func (p *places) acquire(ctx context.Context, wanted place) bool {
	request := p.enqueue(wanted)
	if request == nil {
		return true
	}
	select {
	case <-request.granted:
		return true
	case <-ctx.Done():
		return !p.cancel(request)
	}
}

// enqueue takes a place if there is one, and returns nil then. Otherwise the request waits.
func (p *places) enqueue(wanted place) *placeRequest {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.take(wanted) {
		return nil
	}
	request := &placeRequest{place: wanted, granted: make(chan struct{})}
	p.waiting = append(p.waiting, request)
	return request
}

// cancel withdraws a request, and reports false if its place was granted meanwhile.
func (p *places) cancel(request *placeRequest) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.waiting, request)
	if i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
	}
	return i >= 0
}

// release gives a place back, and grants places to the requests that have waited longest and fit now.
func (p *places) release(held place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
	decrement(p.users, held.user)
	decrement(p.addresses, held.address)
	p.waiting = slices.DeleteFunc(p.waiting, func(r *placeRequest) bool {
		granted := p.take(r.place)
		if granted {
			close(r.granted)
		}
		return granted
	})
}

// take takes a place if the limits allow it. It must be called with p.mu held.
func (p *places) take(wanted place) bool {
	if p.taken >= p.limits.all || p.users[wanted.user] >= p.limits.perUser || p.addresses[wanted.address] >= p.limits.perAddress {
		return false
	}
	p.taken++
	p.users[wanted.user]++
	p.addresses[wanted.address]++
	return true
}

// decrement keeps no entry for a count of 0.
func decrement(counts map[string]int, key string) {
	if counts[key]--; counts[key] == 0 {
		delete(counts, key)
	}
}

// decoders bounds the pictures that are decoded at the same time: their memory to avatar.MaxMemory in all, and their number, so
// that a CPU is left for other requests.
type decoders struct {
	memory *semaphore.Weighted
	share  int64 // the least that a picture counts for
}

// newDecoders allows as many pictures at the same time as there are CPUs but one, and at least one.
func newDecoders(cpus int) *decoders {
	return &decoders{
		memory: semaphore.NewWeighted(avatar.MaxMemory),
		share:  avatar.MaxMemory / int64(max(1, cpus-1)),
	}
}

// acquire waits until a picture that takes this many bytes may be decoded, and returns what ends that. The error is ctx's.
func (d *decoders) acquire(ctx context.Context, bytes int64) (release func(), err error) {
	weight := max(bytes, d.share)
	if err := d.memory.Acquire(ctx, weight); err != nil {
		return nil, err
	}
	return func() { d.memory.Release(weight) }, nil
}
