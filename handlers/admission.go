package handlers

import (
	"context"
	"time"
)

// admission bounds how many logins are at work at the same time: each holds a call of WeChat. Some more may queue for a
// short time; the rest are refused at once, so that latency and memory stay bounded whatever arrives. A nil admission lets
// everybody in.
type admission struct {
	working chan struct{}
	queued  chan struct{}
	wait    time.Duration
}

// newAdmission makes an admission of so many at work, as many in the queue, and each of these for at most wait. A limit
// of 0 makes none.
func newAdmission(limit int, wait time.Duration) *admission {
	if limit == 0 {
		return nil
	}
	return &admission{working: make(chan struct{}, limit), queued: make(chan struct{}, limit), wait: wait}
}

// enter waits for a place and reports whether there is one. Whoever got one must leave.
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
