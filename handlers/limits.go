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

// The sliding windows of Limits.Counter and Limits.DailyCounter.
const (
	RateWindow  = time.Minute
	DailyWindow = 24 * time.Hour
)

// rejection is the limit that a request exceeded, as a label of wxlogin_refusals_total.
type rejection string

const (
	tooManyLogins  rejection = "logins_in_flight"
	tooManyUploads rejection = "uploads_in_flight"

	loginRate       rejection = "login_rate"
	updateRate      rejection = "update_rate"
	decryptRate     rejection = "failed_update_rate"
	dailyUploadRate rejection = "daily_uploads"
)

// reject counts a rejection and returns the error for the client.
func (p *public) reject(why rejection) error {
	p.metrics.rejected(why)
	switch why {
	case tooManyLogins:
		return apiError{code: codeWeChatUnavailable, detail: "Too many logins in progress."}
	case tooManyUploads:
		return apiError{code: codeStorageUnavailable, detail: "Too many uploads in progress."}
	case dailyUploadRate:
		return apiError{code: codeRateLimited, detail: "Too many uploads today.", retryAfter: 3600}
	}
	return apiError{code: codeRateLimited}
}

// userKey returns the rate limit key of a user. An appid contains no colon.
func userKey(sess session.Session) string { return sess.AppID + ":" + sess.OpenID }

// unknownClient is the rate limit key that clients share if a trusted proxy writes an X-Forwarded-For that cannot be
// parsed.
const unknownClient = "unreadable"

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
		requestLogFrom(r.Context()).clientKey = c.key(r)
		next.ServeHTTP(w, r)
	})
}

// clientKey returns the rate limit key of a request's client. The route must use the middleware of clientAddresses.
func clientKey(r *http.Request) string { return requestLogFrom(r.Context()).clientKey }

func (c *clientAddresses) key(r *http.Request) string {
	addr, ok := c.proxies.Client(r)
	if !ok {
		c.metrics.invalidForwardedFor.Inc()
		if !c.warned.Swap(true) {
			c.logger.WarnContext(r.Context(),
				"invalid X-Forwarded-For from a trusted proxy; its clients share one LOGIN_RATE_LIMIT (logged once)")
		}
		return unknownClient
	}
	return clientip.Key(addr)
}

// loginSemaphore bounds the concurrent logins, each of which holds a call to WeChat. Some more may queue for a short
// time, and the rest are rejected immediately, so that latency and memory stay bounded under any load. A nil semaphore
// has no limit.
type loginSemaphore struct {
	slots   chan struct{}
	queue   chan struct{}
	maxWait time.Duration
}

// newLoginSemaphore returns a semaphore of limit slots and a queue of the same length, in which a login waits for up to
// maxWait. If limit is 0, it returns nil.
func newLoginSemaphore(limit int, maxWait time.Duration) *loginSemaphore {
	if limit == 0 {
		return nil
	}
	return &loginSemaphore{slots: make(chan struct{}, limit), queue: make(chan struct{}, limit), maxWait: maxWait}
}

// acquire waits for a slot and reports whether it got one. If it did, the caller must call release.
func (s *loginSemaphore) acquire(ctx context.Context) bool {
	if s == nil {
		return true
	}
	select {
	case s.slots <- struct{}{}:
		return true
	default:
	}
	select {
	case s.queue <- struct{}{}:
		defer func() { <-s.queue }()
	default:
		return false
	}
	select {
	case s.slots <- struct{}{}:
		return true
	case <-time.After(s.maxWait):
		return false
	case <-ctx.Done():
		return false
	}
}

func (s *loginSemaphore) release() {
	if s != nil {
		<-s.slots
	}
}

// slotLimits bound the uploads in flight: in total, which bounds their memory, and per user and client address, so that
// a few slow clients cannot take all slots.
type slotLimits struct{ total, perUser, perAddress int }

// uploadOwner is what an upload slot is counted for.
type uploadOwner struct{ user, address string }

// uploadSlots is a semaphore for uploads. A request without a slot waits, which costs no more than its connection: its
// body is not read yet.
type uploadSlots struct {
	limits slotLimits

	mu        sync.Mutex
	inUse     int
	users     map[string]int
	addresses map[string]int
	waiting   []*slotRequest // in order of arrival
}

type slotRequest struct {
	uploadOwner
	granted chan struct{} // closed when the request has a slot
}

func newUploadSlots(limits slotLimits) *uploadSlots {
	return &uploadSlots{limits: limits, users: make(map[string]int), addresses: make(map[string]int)}
}

// acquire waits for a slot and reports whether it got one before ctx ended. If it did, the caller must call release.
func (s *uploadSlots) acquire(ctx context.Context, owner uploadOwner) bool {
	request := s.enqueue(owner)
	if request == nil {
		return true
	}
	select {
	case <-request.granted:
		return true
	case <-ctx.Done():
		return !s.cancel(request)
	}
}

// enqueue takes a slot and returns nil, or returns a request that waits for one.
func (s *uploadSlots) enqueue(owner uploadOwner) *slotRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tryAcquire(owner) {
		return nil
	}
	request := &slotRequest{uploadOwner: owner, granted: make(chan struct{})}
	s.waiting = append(s.waiting, request)
	return request
}

// cancel removes a request from the queue. It returns false if the request has been granted in the meantime.
func (s *uploadSlots) cancel(request *slotRequest) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.waiting, request)
	if i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
	}
	return i >= 0
}

// release returns a slot, and grants slots to the oldest requests that now fit.
func (s *uploadSlots) release(owner uploadOwner) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inUse--
	decrement(s.users, owner.user)
	decrement(s.addresses, owner.address)
	s.waiting = slices.DeleteFunc(s.waiting, func(r *slotRequest) bool {
		granted := s.tryAcquire(r.uploadOwner)
		if granted {
			close(r.granted)
		}
		return granted
	})
}

// tryAcquire takes a slot if the limits allow it. It must be called with s.mu held.
func (s *uploadSlots) tryAcquire(owner uploadOwner) bool {
	if s.inUse >= s.limits.total || s.users[owner.user] >= s.limits.perUser ||
		s.addresses[owner.address] >= s.limits.perAddress {
		return false
	}
	s.inUse++
	s.users[owner.user]++
	s.addresses[owner.address]++
	return true
}

// decrement drops an entry when its count reaches 0.
func decrement(counts map[string]int, key string) {
	if counts[key]--; counts[key] == 0 {
		delete(counts, key)
	}
}

// decoders is a semaphore for decoding pictures. It bounds their memory to avatar.MaxMemory in total, and their number
// so that a CPU is left for other requests.
type decoders struct {
	memory    *semaphore.Weighted
	minWeight int64 // what a picture counts for at least
}

// newDecoders allows as many concurrent pictures as there are CPUs, minus one, but at least one.
func newDecoders(cpus int) *decoders {
	return &decoders{
		memory:    semaphore.NewWeighted(avatar.MaxMemory),
		minWeight: avatar.MaxMemory / int64(max(1, cpus-1)),
	}
}

// acquire waits until a picture that needs this many bytes may be decoded. The error is ctx's.
func (d *decoders) acquire(ctx context.Context, bytes int64) (release func(), err error) {
	weight := max(bytes, d.minWeight)
	if err := d.memory.Acquire(ctx, weight); err != nil {
		return nil, err
	}
	return func() { d.memory.Release(weight) }, nil
}
