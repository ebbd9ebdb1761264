package handlers

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"wxlogin/internal/avatar"
)

// tryAcquire checks whether a slot can be acquired without waiting.
func tryAcquire(t *testing.T, p *uploadSlots, wanted uploadOwner, want bool) {
	t.Helper()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if got := p.acquire(ended, wanted); got != want {
		t.Errorf("a slot for %v: %v", wanted, got)
	}
}

// mustQueue requests a slot and fails the test if there is one.
func mustQueue(t *testing.T, p *uploadSlots, wanted uploadOwner) *slotRequest {
	t.Helper()
	r := p.enqueue(wanted)
	if r == nil {
		t.Fatalf("%v does not have to wait", wanted)
	}
	return r
}

func granted(r *slotRequest) bool {
	select {
	case <-r.granted:
		return true
	default:
		return false
	}
}

func TestUploadSlots(t *testing.T) {
	a, b, c := uploadOwner{"a", "1"}, uploadOwner{"b", "1"}, uploadOwner{"c", "2"}
	t.Run("bounds the total", func(t *testing.T) {
		p := newUploadSlots(slotLimits{2, 9, 9})
		tryAcquire(t, p, a, true)
		tryAcquire(t, p, b, true)
		tryAcquire(t, p, c, false)
		p.release(a)
		tryAcquire(t, p, c, true)
	})
	t.Run("bounds a user, from all addresses", func(t *testing.T) {
		p := newUploadSlots(slotLimits{9, 2, 9})
		tryAcquire(t, p, a, true)
		tryAcquire(t, p, uploadOwner{"a", "2"}, true)
		tryAcquire(t, p, uploadOwner{"a", "3"}, false)
		tryAcquire(t, p, b, true)
	})
	t.Run("bounds an address, for all users", func(t *testing.T) {
		p := newUploadSlots(slotLimits{9, 9, 2})
		tryAcquire(t, p, a, true)
		tryAcquire(t, p, b, true)
		tryAcquire(t, p, uploadOwner{"x", "1"}, false)
		tryAcquire(t, p, c, true)
	})
	t.Run("grants slots in order of arrival to the requests that fit", func(t *testing.T) {
		p := newUploadSlots(slotLimits{2, 9, 1})
		tryAcquire(t, p, a, true)
		tryAcquire(t, p, c, true)
		first, second, third := mustQueue(t, p, b), mustQueue(t, p, uploadOwner{"d", "3"}), mustQueue(t, p, uploadOwner{"e", "4"})
		p.release(c) // address 1 is still full
		if granted(first) || !granted(second) || granted(third) {
			t.Errorf("granted: %v %v %v", granted(first), granted(second), granted(third))
		}
		p.release(a)
		if !granted(first) || granted(third) {
			t.Errorf("granted: %v %v", granted(first), granted(third))
		}
	})
	t.Run("forgets a cancelled request", func(t *testing.T) {
		p := newUploadSlots(slotLimits{1, 9, 9})
		tryAcquire(t, p, a, true)
		tryAcquire(t, p, b, false)
		p.release(a)
		if len(p.waiting) != 0 || p.inUse != 0 || len(p.users) != 0 || len(p.addresses) != 0 {
			t.Errorf("left: %+v", p)
		}
	})
	t.Run("keeps a slot that is granted while its request is cancelled", func(t *testing.T) {
		p := newUploadSlots(slotLimits{1, 9, 9})
		tryAcquire(t, p, a, true)
		r := mustQueue(t, p, b)
		p.release(a)
		if p.cancel(r) {
			t.Error("the slot would be lost")
		}
		p.release(b)
	})
}

func TestUploadSlots_Concurrent(t *testing.T) {
	limits := slotLimits{total: 8, perUser: 2, perAddress: 4}
	p := newUploadSlots(limits)
	var users, addresses [4]atomic.Int32
	var all atomic.Int32
	var wg sync.WaitGroup
	for i := range 64 {
		user, address := i%len(users), i/4%len(addresses)
		wanted := uploadOwner{fmt.Sprint(user), fmt.Sprint(address)}
		wg.Go(func() {
			for n := range 50 {
				ctx, cancel := context.WithCancel(t.Context())
				if n%7 == 0 {
					cancel() // gives up immediately unless there is a slot
				}
				if p.acquire(ctx, wanted) {
					if all.Add(1) > 8 || users[user].Add(1) > 2 || addresses[address].Add(1) > 4 {
						t.Error("more slots than the limits allow")
					}
					all.Add(-1)
					users[user].Add(-1)
					addresses[address].Add(-1)
					p.release(wanted)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	if p.inUse != 0 || len(p.users) != 0 || len(p.addresses) != 0 || len(p.waiting) != 0 {
		t.Errorf("left: %+v", p)
	}
}

func TestDecoders(t *testing.T) {
	for _, tt := range []struct {
		name   string
		cpus   int
		memory int64 // of each picture
		want   int   // concurrent pictures
	}{
		{"one on one CPU", 1, 1, 1},
		{"one on two CPUs", 2, 1, 1},
		{"leaves a CPU", 4, 1, 3},
		{"a picture that needs all memory runs alone", 8, avatar.MaxMemory, 1},
		{"large pictures by their memory", 8, avatar.MaxMemory / 3, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDecoders(tt.cpus)
				var releases []func()
				for len(releases) <= tt.want {
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					release, err := d.acquire(ctx, tt.memory)
					if err != nil {
						break
					}
					releases = append(releases, release)
				}
				if len(releases) != tt.want {
					t.Errorf("%d at once, want %d", len(releases), tt.want)
				}
				for _, release := range releases {
					release()
				}
				if _, err := d.acquire(t.Context(), tt.memory); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestUnknownClient(t *testing.T) {
	if strings.ContainsAny(unknownClient, ".:") {
		t.Errorf("%q could be the key of an address", unknownClient)
	}
}
