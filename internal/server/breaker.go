package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sony/gobreaker/v2"

	"wxlogin/wechat"
)

// breakerSettings define when the circuit breaker towards WeChat opens and closes.
type breakerSettings struct {
	window              time.Duration // calls count for this long after they have ended
	failures            uint32        // the breaker opens at this number of failures if they are at least half of all calls,
	consecutiveFailures uint32        // or at this number without a success in between
	openFor             time.Duration // how long it rejects calls before it is half-open
	halfOpenCalls       uint32        // calls that it lets through while half-open; it closes if all succeed
}

// defaultBreaker opens after the first ten time-outs if WeChat hangs, but not for a few lost connections among many
// logins. It is open only for a short time: the server must serve again within 2 s of WeChat's recovery, and a second
// without calls is relief enough for an overloaded host.
var defaultBreaker = breakerSettings{
	window: 10 * time.Second, failures: 5, consecutiveFailures: 10, openFor: time.Second, halfOpenCalls: 3,
}

// breaker is a circuit breaker towards WeChat. Each app has its own, because WeChat may fail for one app only. If the
// whole host is down, each opens separately.
type breaker = gobreaker.CircuitBreaker[any]

// newBreaker returns a closed breaker that calls onOpen whenever it opens.
func newBreaker(s breakerSettings, logger *slog.Logger, onOpen func()) *breaker {
	return gobreaker.NewCircuitBreaker[any](gobreaker.Settings{
		MaxRequests:  s.halfOpenCalls,
		Interval:     s.window,
		BucketPeriod: s.window / 10,
		Timeout:      s.openFor,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			mostly := c.TotalFailures >= s.failures && c.TotalFailures >= c.TotalSuccesses
			return mostly || c.ConsecutiveFailures >= s.consecutiveFailures
		},
		IsSuccessful: func(err error) bool { return !isFailure(err) },
		IsExcluded:   isExcluded,
		OnStateChange: func(_ string, from, to gobreaker.State) {
			logger.Warn("circuit breaker towards WeChat", "from", from.String(), "to", to.String())
			if to == gobreaker.StateOpen {
				onOpen()
			}
		},
	})
}

// isFailure reports whether a call failed because WeChat does not work: it could not be reached, its response could not
// be parsed, or it reported that it is busy or has failed (-1, -1000). Every other response, about a code or about this
// server's configuration, shows that it works.
func isFailure(err error) bool {
	e, ok := errors.AsType[*wechat.Error](err)
	return ok && (e.IsTransport() || e.ErrCode != 0 && e.Kind == wechat.KindUnavailable)
}

// isExcluded reports whether a call shows nothing about WeChat: the client did not wait for it, it was not sent, WeChat
// refused it because of the app's quota, or its response is unusable for this one user.
func isExcluded(err error) bool {
	e, ok := errors.AsType[*wechat.Error](err)
	notSent := ok && e.ErrCode == 0 && e.Kind == wechat.KindInvalidCode
	kind := wechat.KindOf(err)
	return errors.Is(err, context.Canceled) || notSent || kind == wechat.KindUnusable || kind == wechat.KindRateLimited
}

// callThroughBreaker makes a call unless the breaker is open, which is an error of wechat.KindUnavailable.
func callThroughBreaker[T any](b *breaker, api string, call func() (T, error)) (T, error) {
	v, err := b.Execute(func() (any, error) { return call() })
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		err = fmt.Errorf("%w: %w", err, &wechat.Error{Kind: wechat.KindUnavailable, API: api})
	}
	result, _ := v.(T) // nil if there was no call
	return result, err
}
