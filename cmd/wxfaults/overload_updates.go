package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"wxlogin/internal/contract"
)

// updaters is how many users send profiles beside the logins. They do not log in again, which would replace their keys.
const updaters = 20

// prepareUpdates logs the updaters in and seals n profiles.
func (g *gun) prepareUpdates(ctx context.Context, n int) ([]url.Values, error) {
	tokens := make([]string, updaters)
	for i := range tokens {
		code, err := g.code(ctx, updater(i))
		if err != nil {
			return nil, err
		}
		status, _, body := g.post(ctx, onLogin, url.Values{"code": {code}})
		var b contract.Login
		if err := json.Unmarshal(body, &b); err != nil || status != 200 {
			return nil, fmt.Errorf("the login of an updater is answered %s", statusName(status))
		}
		tokens[i] = b.Token
	}
	forms := make([]url.Values, n)
	for i := range forms {
		user := updater(i % updaters)
		var data openData
		err := await(ctx, "the simulator", 10*time.Second, func(ctx context.Context) (err error) {
			data, err = g.system.wechat.userInfo(ctx, user, nickname(user, i+1))
			return err
		})
		if err != nil {
			return nil, err
		}
		forms[i] = url.Values{"token": {tokens[i%updaters]}, "encryptedData": {data.EncryptedData}, "iv": {data.IV}}
	}
	return forms, nil
}

func updater(i int) string { return fmt.Sprintf("p%02d", i) }

// sendUpdates sends them at updateRate, one after the other.
func (g *gun) sendUpdates(ctx context.Context, forms []url.Values) (seen outcomes) {
	start := time.Now()
	for i, form := range forms {
		sleep(ctx, time.Until(start.Add(time.Duration(i)*time.Second/updateRate)))
		if ctx.Err() != nil {
			break
		}
		sent := time.Now()
		status, proper, _ := g.post(ctx, updateUserInfo, form)
		seen.add(status, time.Since(sent), proper)
	}
	seen.took = time.Since(start)
	return seen
}
