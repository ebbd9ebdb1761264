package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sony/gobreaker/v2"

	"wxlogin/handlers"
	"wxlogin/wechat"
)

// breakerSettings say when the circuit breaker towards WeChat opens and for how long.
type breakerSettings struct {
	window   time.Duration // calls that ended so long ago do not count any more
	failures uint32        // it opens at so many failures that are at least half of all calls,
	inARow   uint32        // or at so many without a success in between
	open     time.Duration // it refuses calls so long before it tries WeChat again
	probes   uint32        // by so many calls, which all must succeed
}

// defaultBreaker opens with the first ten time-outs of a WeChat that hangs, but not for a handful of lost connections among
// many logins. Open is kept short: the server is to serve again within 2 s of WeChat's return, and a second without calls
// is relief enough for a host that is overloaded.
var defaultBreaker = breakerSettings{window: 10 * time.Second, failures: 5, inARow: 10, open: time.Second, probes: 3}

// breaker is a circuit breaker towards WeChat. Each app has its own: WeChat may fail one app alone, and the others must go
// on. If the whole host is down, each opens by itself.
type breaker = gobreaker.CircuitBreaker[any]

// newBreaker makes a closed breaker. onOpen is called whenever it opens.
func newBreaker(s breakerSettings, logger *slog.Logger, onOpen func()) *breaker {
	return gobreaker.NewCircuitBreaker[any](gobreaker.Settings{
		MaxRequests:  s.probes,
		Interval:     s.window,
		BucketPeriod: s.window / 10,
		Timeout:      s.open,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			mostly := c.TotalFailures >= s.failures && c.TotalFailures >= c.TotalSuccesses
			return mostly || c.ConsecutiveFailures >= s.inARow
		},
		IsSuccessful: func(err error) bool { return !unwell(err) },
		IsExcluded:   saysNothing,
		OnStateChange: func(_ string, from, to gobreaker.State) {
			logger.Warn("circuit breaker towards WeChat", "from", from.String(), "to", to.String())
			if to == gobreaker.StateOpen {
				onOpen()
			}
		},
	})
}

// unwell tells whether an exchange failed because WeChat is: it could not be reached or understood, or said that it is
// busy or has failed (-1, -1000). Every other answer, about a code or about this server's configuration, shows that it works.
func unwell(err error) bool {
	e, ok := errors.AsType[*wechat.Error](err)
	return ok && (e.IsTransport() || e.ErrCode != 0 && e.Kind == wechat.KindUnavailable)
}

// saysNothing tells whether an exchange says nothing about WeChat: the client did not wait for it, it was not sent at
// all, WeChat refused it for its quota, or its answer about this one user cannot be used.
func saysNothing(err error) bool {
	e, ok := errors.AsType[*wechat.Error](err)
	notAsked := ok && e.ErrCode == 0 && e.Kind == wechat.KindInvalidCode
	kind := wechat.KindOf(err)
	return errors.Is(err, context.Canceled) || notAsked || kind == wechat.KindUnusable || kind == wechat.KindRateLimited
}

// guarded is an app behind the breaker.
type guarded struct {
	handlers.CodeExchanger
	breaker *breaker
}

// Code2Session is refused at once, as KindUnavailable, while the breaker is open.
func (g guarded) Code2Session(ctx context.Context, code string) (wechat.Session, error) {
	return guard(g.breaker, "jscode2session", func() (wechat.Session, error) {
		return g.CodeExchanger.Code2Session(ctx, code)
	})
}

// guard makes a call of WeChat's unless the breaker is open, which is KindUnavailable.
func guard[T any](b *breaker, api string, call func() (T, error)) (T, error) {
	v, err := b.Execute(func() (any, error) { return call() })
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		err = fmt.Errorf("%w: %w", err, &wechat.Error{Kind: wechat.KindUnavailable, API: api})
	}
	result, _ := v.(T) // the breaker gives nil where there was no call
	return result, err
}
