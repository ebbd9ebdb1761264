package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"wxlogin/handlers"
	"wxlogin/wechat"
	"wxlogin/wechat/accesstoken"
)

// phoneTimeout is all that a phone number may take, two access_tokens and two attempts included.
const phoneTimeout = 8 * time.Second

// phoneNumbers gets the phone numbers of the users of each app, by appid: it is handlers.PhoneNumbers.
type phoneNumbers map[string]phoneApp

// phoneApp gets phone numbers for one app.
type phoneApp struct {
	client  *wechat.Client
	tokens  *accesstoken.Cache
	breaker *breaker
}

// newPhoneNumbers makes a client of WeChat for each app. It shares no connection and no circuit breaker with other apps, nor
// with logins, which must go on when phone numbers, or the access_token that these need, cannot be had.
func newPhoneNumbers(
	c Config, shared redis.UniversalClient, metrics *handlers.Metrics, logger *slog.Logger,
) (phoneNumbers, error) {
	logger = logger.With("calls", "phone numbers")
	apps := make(phoneNumbers)
	for _, app := range c.allApps() {
		client, breaker, err := newClient(c, app, metrics, logger)
		if err != nil {
			return nil, err
		}
		tokens, err := accesstoken.New(accesstoken.Options{
			Redis: shared, AppID: app.AppID, Secret: wechat.Secret(app.Secret), Fetch: guardedFetch(breaker, client.StableToken),
		})
		if err != nil {
			return nil, fmt.Errorf("app %s: %w", app.AppID, err)
		}
		apps[app.AppID] = phoneApp{client, tokens, breaker}
	}
	return apps, nil
}

// guardedFetch is fetch behind the breaker.
func guardedFetch(b *breaker, fetch accesstoken.Fetch) accesstoken.Fetch {
	type token struct {
		value     string
		expiresIn time.Duration
	}
	return func(ctx context.Context, force bool) (string, time.Duration, error) {
		t, err := guard(b, "stable_token", func() (token, error) {
			value, expiresIn, err := fetch(ctx, force)
			return token{value, expiresIn}, err
		})
		return t.value, t.expiresIn, err
	}
}

// PhoneNumber exchanges the code of the phone button of the user openID. Where WeChat refuses the access_token, it is
// repeated once with another one.
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
	return guard(a.breaker, "getuserphonenumber", func() (wechat.PhoneNumber, error) {
		return a.client.PhoneNumber(ctx, token, openID, code)
	})
}
