package store

import (
	"context"
	"errors"
	"sync"
	"testing"
)

func (l *userLocks) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.held)
}

func (l *userLocks) waiters(id identityKey) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.held[id])
}

func TestUserLocks_lock(t *testing.T) {
	alice, bob := identityKey{"wx1", "oAlice"}, identityKey{"wx1", "oBob"}
	lock := func(t *testing.T, l *userLocks, id identityKey) {
		t.Helper()
		if err := l.lock(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("one at a time", func(t *testing.T) {
		var l userLocks
		var calls sync.WaitGroup
		counts := map[identityKey]*int{alice: new(int), bob: new(int)}
		for i := range 200 {
			calls.Go(func() {
				id := []identityKey{alice, bob}[i%2]
				lock(t, &l, id)
				defer l.unlock(id)
				*counts[id]++ // the race detector finds two at once
			})
		}
		calls.Wait()
		if *counts[alice] != 100 || *counts[bob] != 100 || l.size() != 0 {
			t.Errorf("counted %d and %d, %d locks left", *counts[alice], *counts[bob], l.size())
		}
	})
	t.Run("in the order of arrival", func(t *testing.T) {
		var l userLocks
		var calls sync.WaitGroup
		var order []int
		lock(t, &l, alice)
		for i := range 10 {
			calls.Go(func() {
				lock(t, &l, alice)
				defer l.unlock(alice)
				order = append(order, i)
			})
			for l.waiters(alice) != i+1 {
			}
		}
		l.unlock(alice)
		calls.Wait()
		for i, got := range order {
			if got != i {
				t.Fatalf("order %v", order)
			}
		}
	})
	t.Run("a waiter gives up with its context", func(t *testing.T) {
		var l userLocks
		lock(t, &l, alice)
		ctx, cancel := context.WithCancel(t.Context())
		gaveUp := make(chan error)
		go func() { gaveUp <- l.lock(ctx, alice) }()
		for l.waiters(alice) != 1 {
		}
		cancel()
		if err := <-gaveUp; !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		l.unlock(alice)
		if l.size() != 0 {
			t.Errorf("%d locks left", l.size())
		}
		lock(t, &l, alice)
	})
	t.Run("contexts that end at the moment of the handover", func(t *testing.T) {
		var l userLocks
		var calls sync.WaitGroup
		for range 2000 {
			ctx, cancel := context.WithCancel(t.Context())
			calls.Go(func() {
				if l.lock(ctx, alice) == nil {
					l.unlock(alice)
				}
			})
			calls.Go(cancel)
		}
		calls.Wait()
		if l.size() != 0 {
			t.Errorf("%d locks left", l.size())
		}
	})
}
