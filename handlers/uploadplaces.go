package handlers

import (
	"context"
	"slices"
	"sync"

	"golang.org/x/sync/semaphore"

	"wxlogin/internal/avatar"
)

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
