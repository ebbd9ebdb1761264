package store

import (
	"context"
	"slices"
	"sync"
)

// userLocks is a mutex for each identity, handed on in the order of arrival. The zero value is ready. Only locks that are
// held take memory.
type userLocks struct {
	mu   sync.Mutex
	held map[identity][]chan struct{} // who waits for it
}

// lock waits until no other call holds the lock of this identity, or until the context ends, whose error it returns then.
// A call that got the lock must unlock it.
func (l *userLocks) lock(ctx context.Context, id identity) error {
	turn := l.enqueue(id)
	if turn == nil {
		return nil
	}
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		if !l.forget(id, turn) {
			l.unlock(id) // it was handed over at this moment
		}
		return ctx.Err()
	}
}

// enqueue takes a lock that is free and returns nil, or returns what is closed when the lock is handed over.
func (l *userLocks) enqueue(id identity) chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		l.held = make(map[identity][]chan struct{})
	}
	waiting, held := l.held[id]
	if !held {
		l.held[id] = nil
		return nil
	}
	turn := make(chan struct{})
	l.held[id] = append(waiting, turn)
	return turn
}

// forget takes a waiter out of the queue, and reports whether it was still in it.
func (l *userLocks) forget(id identity, turn chan struct{}) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.held[id], turn)
	if i >= 0 {
		l.held[id] = slices.Delete(l.held[id], i, i+1)
	}
	return i >= 0
}

// unlock hands the lock to the call that has waited longest.
func (l *userLocks) unlock(id identity) {
	l.mu.Lock()
	defer l.mu.Unlock()
	waiting := l.held[id]
	if len(waiting) == 0 {
		delete(l.held, id)
		return
	}
	close(waiting[0])
	l.held[id] = waiting[1:]
}
