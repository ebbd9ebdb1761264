package main

import (
	"context"
	"fmt"
	"net/url"
	"time"
)

// keepers are users who log in before a fault and come back after it, and after all later ones: their tokens must work
// still, but for those that Redis has lost.
type keepers struct {
	system *system
	api    *api
	number int
	kept   []keeper
}

const keeperLimit = 5 * time.Second

type keeper struct {
	user    string
	token   string
	session origin
	data    openData // sealed under this session's key, to be sent again and again
	seal    seal
}

// login adds a keeper at each server. Nothing is at fault now: it may take a second attempt on a busy machine, no more.
func (k *keepers) login(ctx context.Context) error {
	for _, server := range k.system.serverNames {
		attempt := func(ctx context.Context) error { return k.loginAt(ctx, server) }
		if err := await(ctx, "server "+server, keeperLimit, attempt); err != nil {
			return err
		}
	}
	return nil
}

func (k *keepers) loginAt(ctx context.Context, server string) error {
	k.number++
	user := fmt.Sprintf("k%02d", k.number)
	wechat, ledger := k.system.wechat, k.api.ledger
	openID, key, err := wechat.account(ctx, user)
	if err != nil {
		return err
	}
	ledger.person(user, openID)
	ledger.secret(secretKey, key)
	code, err := wechat.login(ctx, user)
	if err != nil {
		return err
	}
	ledger.secret(secretCode, code)
	from := time.Now().Unix()
	data, err := wechat.userInfo(ctx, user, nickname(user, 1))
	if err != nil {
		return err
	}
	sealed := seal{from, time.Now().Unix()}
	e := k.api.send(ctx, entry{server: server, route: onLogin, user: user, keeper: true}, url.Values{"code": {code}})
	if !e.ok() {
		return fmt.Errorf("a login before the fault is answered %d %s", e.answer.status, e.problem().Code)
	}
	token := e.login().Token
	ledger.secret(secretToken, token)
	k.kept = append(k.kept, keeper{user, token, origin{e.sent, e.ended}, data, sealed})
	return nil
}

// comeBack sends every keeper to every server. Those who are told to log in again are forgotten.
func (k *keepers) comeBack(ctx context.Context) {
	var still []keeper
	for _, one := range k.kept {
		known := true
		for _, server := range k.system.serverNames {
			e := k.api.send(ctx, entry{
				server: server, route: updateUserInfo, user: one.user, keeper: true,
				revision: 1, sealed: one.seal, session: one.session,
			}, url.Values{"token": {one.token}, "encryptedData": {one.data.EncryptedData}, "iv": {one.data.IV}})
			known = known && e.answer.status != 401
		}
		if known {
			still = append(still, one)
		}
	}
	k.kept = still
}
