package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sony/gobreaker/v2"

	"wxlogin/handlers"
	"wxlogin/internal/config"
	"wxlogin/wechat"
	"wxlogin/wechat/accesstoken"
)

// phoneTimeout bounds the exchange of a phone code, including two access_tokens and two attempts.
const phoneTimeout = 8 * time.Second

// newExchangers returns a client of WeChat for each app, each with its own circuit breaker.
func newExchangers(c config.Config, o Options, metrics *handlers.Metrics) ([]handlers.CodeExchanger, error) {
	var apps []handlers.CodeExchanger
	for _, app := range c.AllApps() {
		client, breaker, err := newClient(c, o, app, metrics)
		if err != nil {
			return nil, err
		}
		metrics.WatchBreaker(app.AppID, func() string { return breaker.State().String() })
		apps = append(apps, withBreaker{client, breaker})
	}
	return apps, nil
}

// newClient returns a client of WeChat for one app, with its own circuit breaker and connections. The failure that opens
// the breaker may have killed the idle connections too, so they are closed then; those of other apps stay.
func newClient(c config.Config, o Options, app config.App, metrics *handlers.Metrics) (*wechat.Client, *breaker, error) {
	transport := wechat.NewTransport()
	client, err := wechat.NewClient(wechat.Options{
		AppID: app.AppID, Secret: wechat.Secret(app.Secret), BaseURL: c.WeChatAPIBase, Transport: o.Tracing.Transport(transport),
		OnCall: metrics.WeChatCall,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("app %s: %w", app.AppID, err)
	}
	return client, newBreaker(defaultBreaker, o.Logger.With("appid", app.AppID), transport.CloseIdleConnections), nil
}

// withBreaker is an app behind a circuit breaker.
type withBreaker struct {
	handlers.CodeExchanger
	breaker *breaker
}

// Code2Session fails immediately with wechat.KindUnavailable if the breaker is open.
func (w withBreaker) Code2Session(ctx context.Context, code string) (wechat.Session, error) {
	return callThroughBreaker(w.breaker, "jscode2session", func() (wechat.Session, error) {
		return w.CodeExchanger.Code2Session(ctx, code)
	})
}

// phoneNumbers implements handlers.PhoneNumbers. Its keys are appids.
type phoneNumbers map[string]phoneApp

// phoneApp gets the phone numbers of one app's users.
type phoneApp struct {
	client  *wechat.Client
	tokens  *accesstoken.Cache
	breaker *breaker
}

// newPhoneNumbers returns a client of WeChat for each app. It shares no connection and no circuit breaker with other apps
// or with logins, which must go on if phone numbers, or the access_tokens that these require, are unavailable.
func newPhoneNumbers(
	c config.Config, o Options, shared redis.UniversalClient, metrics *handlers.Metrics,
) (phoneNumbers, error) {
	o.Logger = o.Logger.With("calls", "phone numbers")
	apps := make(phoneNumbers)
	for _, app := range c.AllApps() {
		client, breaker, err := newClient(c, o, app, metrics)
		if err != nil {
			return nil, err
		}
		tokens, err := accesstoken.New(accesstoken.Options{
			Redis: shared, AppID: app.AppID, Secret: wechat.Secret(app.Secret), Fetch: fetchThroughBreaker(breaker, client.StableToken),
		})
		if err != nil {
			return nil, fmt.Errorf("app %s: %w", app.AppID, err)
		}
		apps[app.AppID] = phoneApp{client, tokens, breaker}
	}
	return apps, nil
}

// fetchThroughBreaker returns fetch behind the breaker.
func fetchThroughBreaker(b *breaker, fetch accesstoken.Fetch) accesstoken.Fetch {
	type token struct {
		value     string
		expiresIn time.Duration
	}
	return func(ctx context.Context, force bool) (string, time.Duration, error) {
		t, err := callThroughBreaker(b, "stable_token", func() (token, error) {
			value, expiresIn, err := fetch(ctx, force)
			return token{value, expiresIn}, err
		})
		return t.value, t.expiresIn, err
	}
}

// PhoneNumber exchanges a code of the phone button that the user openID tapped. If WeChat refuses the access_token, it
// retries once with a new one.
func (p phoneNumbers) PhoneNumber(ctx context.Context, appID, openID, code string) (wechat.PhoneNumber, error) {
	app, ok := p[appID]
	if !ok {
		return wechat.PhoneNumber{}, fmt.Errorf("app %s is not configured", appID)
	}
	ctx, cancel := context.WithTimeout(ctx, phoneTimeout)
	defer cancel()
	token, err := app.tokens.Token(ctx, "")
	if err != nil {
		return wechat.PhoneNumber{}, err
	}
	number, refusal := app.exchange(ctx, token, openID, code)
	if !wechat.IsInvalidToken(refusal) {
		return number, refusal
	}
	token, err = app.tokens.Token(ctx, string(token.Value))
	if errors.Is(err, accesstoken.ErrRefused) {
		return wechat.PhoneNumber{}, refusal
	}
	if err != nil {
		return wechat.PhoneNumber{}, err
	}
	return app.exchange(ctx, token, openID, code)
}

func (a phoneApp) exchange(ctx context.Context, token accesstoken.Token, openID, code string) (wechat.PhoneNumber, error) {
	return callThroughBreaker(a.breaker, "getuserphonenumber", func() (wechat.PhoneNumber, error) {
		return a.client.PhoneNumber(ctx, string(token.Value), openID, code)
	})
}

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
