package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"sync"
	"time"
)

const (
	phonePace = 50 * time.Millisecond  // the shortest pause between two requests; three times that is the longest
	impatient = 100 * time.Millisecond // the same after a failure: sooner than Retry-After, to see when it is over

	codesAhead = 3 // so that phones can go on logging in while WeChat hangs
	dataAhead  = 6
)

// phone plays one user after the other: wx.login, /onLogin, some /updateUserInfo, again, then the next user.
type phone struct {
	index  int
	rng    *rand.Rand
	system *system
	api    *api
	ledger *ledger

	number   int // of users so far
	user     string
	revision int
	token    string
	session  origin
	codes    []string
	data     []sealedData
}

// sealedData is a profile that is ready to be sent.
type sealedData struct {
	openData
	revision int
	seal     seal
}

// play goes on until stopping is closed, and then to the end of the present user's login.
func (p *phone) play(ctx context.Context, stopping <-chan struct{}) {
	stopped := func() bool {
		select {
		case <-stopping:
			return true
		default:
			return ctx.Err() != nil
		}
	}
	for !stopped() {
		if !p.nextUser(ctx) || !p.firstLogin(ctx) {
			return
		}
		for round := range 3 + p.rng.IntN(3) {
			if stopped() || round > 0 && !p.loginAgain(ctx) {
				break
			}
			for range p.updates() {
				if stopped() {
					break
				}
				p.update(ctx)
			}
		}
	}
}

// updates is how many a round has. Some phones hardly ever log in, so that updates go on while logins hang.
func (p *phone) updates() int {
	if p.index%4 == 0 {
		return 12 + p.rng.IntN(12)
	}
	return 2 + p.rng.IntN(4)
}

// nextUser becomes somebody who has never logged in. It waits until the simulator tells the openid.
func (p *phone) nextUser(ctx context.Context) bool {
	p.number++
	p.user, p.revision = fmt.Sprintf("u%02d-%d", p.index, p.number), 0
	p.token, p.session, p.codes, p.data = "", origin{}, nil, nil
	for ctx.Err() == nil {
		if p.noteAccount(ctx) {
			return true
		}
		p.pause(ctx, phonePace)
	}
	return false
}

// noteAccount enters the openid and the present session_key into the ledger.
func (p *phone) noteAccount(ctx context.Context) bool {
	openID, key, err := p.system.wechat.account(ctx, p.user)
	if err != nil {
		return false
	}
	p.ledger.person(p.user, openID)
	p.ledger.secret(secretKey, key)
	return true
}

// firstLogin sometimes comes from several phones of the user at once: all must be the same user. It ends with a session.
func (p *phone) firstLogin(ctx context.Context) bool {
	if p.rng.IntN(2) == 0 {
		p.loginAtOnce(ctx, 2+p.rng.IntN(3))
	}
	return p.login(ctx)
}

// loginAgain is the login of somebody who comes back: sometimes with wx.login called twice, or another session_key.
func (p *phone) loginAgain(ctx context.Context) bool {
	switch p.rng.IntN(4) {
	case 0:
		p.loginAtOnce(ctx, 2)
	case 1:
		if p.system.wechat.newKey(ctx, p.user) == nil {
			p.noteAccount(ctx)
		}
		if p.rng.IntN(2) == 0 {
			p.data = nil // the next is sealed under a key that the server has not seen yet
			p.update(ctx)
		}
	}
	return p.login(ctx)
}

// loginAtOnce sends n logins at the same time and keeps none of their sessions.
func (p *phone) loginAtOnce(ctx context.Context, n int) {
	var sending sync.WaitGroup
	for range n {
		code, ok := p.code(ctx)
		if !ok {
			break
		}
		server := p.server()
		sending.Go(func() { p.sendLogin(ctx, server, code) })
	}
	sending.Wait()
	p.pause(ctx, phonePace)
}

// login repeats until there is a session. It reports false where ctx ended.
func (p *phone) login(ctx context.Context) bool {
	for ctx.Err() == nil {
		code, ok := p.code(ctx)
		if !ok {
			p.pause(ctx, impatient)
			continue
		}
		e := p.sendLogin(ctx, p.server(), code)
		switch {
		case e.ok():
			p.token, p.session = e.login().Token, origin{e.sent, e.ended}
			p.pause(ctx, phonePace)
			return true
		case e.due():
			p.codes = slices.Insert(p.codes, 0, code) // the same once more: it may not have been spent
		case e.problem().Action == "relogin":
			p.codes = nil
		}
		p.pause(ctx, impatient)
	}
	return false
}

func (p *phone) sendLogin(ctx context.Context, server, code string) entry {
	e := p.api.send(ctx, entry{server: server, route: onLogin, user: p.user}, url.Values{"code": {code}})
	if e.ok() {
		p.ledger.secret(secretToken, e.login().Token)
	}
	return e
}

// update sends the next profile, as often as the server says that this helps. It does nothing where WeChat gives none.
func (p *phone) update(ctx context.Context) {
	data, ok := p.nextData(ctx)
	if !ok {
		p.pause(ctx, impatient)
		return
	}
	form := url.Values{"token": {p.token}, "encryptedData": {data.EncryptedData}, "iv": {data.IV}}
	if p.rng.IntN(2) == 0 {
		form.Set("rawData", data.RawData)
		form.Set("signature", data.Signature)
	}
	for ctx.Err() == nil {
		e := p.api.send(ctx, entry{
			server: p.server(), route: updateUserInfo, user: p.user,
			revision: data.revision, sealed: data.seal, session: p.session,
		}, form)
		if !e.due() {
			if e.problem().Action == "relogin" {
				p.data = nil
				p.login(ctx)
			}
			p.pause(ctx, phonePace)
			return
		}
		p.data = nil // what follows is to be newer than this, beyond doubt
		p.pause(ctx, impatient)
	}
}

// code is the next of wx.login, from what there is ahead or from the simulator.
func (p *phone) code(ctx context.Context) (string, bool) {
	for len(p.codes) < codesAhead {
		code, err := p.system.wechat.login(ctx, p.user)
		if err != nil {
			break
		}
		p.ledger.secret(secretCode, code)
		p.codes = append(p.codes, code)
	}
	if len(p.codes) == 0 {
		return "", false
	}
	code := p.codes[0]
	p.codes = p.codes[1:]
	return code, true
}

// nextData is the next sealed profile. They are sealed some at a time, each with a nickname that tells user and revision.
func (p *phone) nextData(ctx context.Context) (sealedData, bool) {
	if len(p.data) == 0 {
		for len(p.data) < dataAhead {
			from := time.Now().Unix()
			open, err := p.system.wechat.userInfo(ctx, p.user, nickname(p.user, p.revision+1))
			if err != nil {
				break
			}
			p.revision++
			p.data = append(p.data, sealedData{open, p.revision, seal{from, time.Now().Unix()}})
		}
		p.noteAccount(ctx) // wx.login, or a restart, may have replaced the key
	}
	if len(p.data) == 0 {
		return sealedData{}, false
	}
	data := p.data[0]
	p.data = p.data[1:]
	return data, true
}

// server chooses one.
func (p *phone) server() string {
	return p.system.serverNames[p.rng.IntN(len(p.system.serverNames))]
}

// pause waits for one to three times d.
func (p *phone) pause(ctx context.Context, d time.Duration) {
	sleep(ctx, d+time.Duration(p.rng.Int64N(int64(2*d))))
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
