package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

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
	token, err = app.tokens.Token(ctx, token)
	if errors.Is(err, accesstoken.ErrRefused) {
		return wechat.PhoneNumber{}, refusal
	}
	if err != nil {
		return wechat.PhoneNumber{}, err
	}
	return app.exchange(ctx, token, openID, code)
}

func (a phoneApp) exchange(ctx context.Context, token, openID, code string) (wechat.PhoneNumber, error) {
	return callThroughBreaker(a.breaker, "getuserphonenumber", func() (wechat.PhoneNumber, error) {
		return a.client.PhoneNumber(ctx, token, openID, code)
	})
}
