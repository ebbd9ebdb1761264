package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"sync"
	"time"

	"wxlogin/cmd/wxtest/internal/player"
	"wxlogin/cmd/wxtest/internal/process"
)

const (
	// phones play at the same time; with pace they make some 200 requests a second.
	phones = 24

	pace      = 50 * time.Millisecond  // the shortest pause between two requests; the longest is three times that
	retryPace = 100 * time.Millisecond // the same after a failure: sooner than Retry-After, to see when it is over

	codesAhead    = 3 // so that phones can go on logging in while WeChat hangs
	profilesAhead = 6
)

// startLoad lets the phones play until stop, which lets every phone finish what it is doing: its user is logged in then. ctx ends
// them at once.
func startLoad(ctx context.Context, seed uint64, t *traffic) (stop func()) {
	playing, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	for i := range phones {
		p := &phone{traffic: t, index: i, rng: rand.New(rand.NewPCG(seed, uint64(i)+1))} // 0 is the plan's
		group.Go(func() { p.play(ctx, playing) })
	}
	return func() {
		cancel()
		group.Wait()
	}
}

// phone plays one person after the other: wx.login, /onLogin, some /updateUserInfo, again. Some then delete their account, and
// some of these come back.
type phone struct {
	*traffic
	index int
	rng   *rand.Rand

	number   int    // of persons so far
	person   string // at the simulator
	user     string // the person's account: after an erase it is another one
	revision int
	session  session
	codes    []string
	profiles []player.Sealed
}

// play goes on until playing ends, and then to the end of the present user's login.
func (p *phone) play(ctx, playing context.Context) {
	for playing.Err() == nil {
		if !p.nextPerson(ctx) || !p.firstLogin(ctx) {
			return
		}
		p.useUntil(ctx, playing)
		if p.rng.IntN(3) == 0 && p.end(ctx) && p.rng.IntN(2) == 0 {
			p.beginAgain(ctx)
			if !p.firstLogin(ctx) {
				return
			}
			p.update(ctx)
		}
	}
}

// useUntil logs in and updates the profile a few times, or until playing ends.
func (p *phone) useUntil(ctx, playing context.Context) {
	for round := range 3 + p.rng.IntN(3) {
		if playing.Err() != nil || round > 0 && !p.loginAgain(ctx) {
			break
		}
		for n := p.updates(); n > 0 && playing.Err() == nil; n-- {
			p.update(ctx)
		}
	}
}

// updates returns how many updates a round has. Some phones hardly ever log in, so that updates go on while logins hang.
func (p *phone) updates() int {
	if p.index%4 == 0 {
		return 12 + p.rng.IntN(12)
	}
	return 2 + p.rng.IntN(4)
}

// nextPerson continues as a person who has never logged in. It waits until the simulator says the openid.
func (p *phone) nextPerson(ctx context.Context) bool {
	p.number++
	p.person = fmt.Sprintf("u%02d-%d", p.index, p.number)
	p.user, p.revision = p.person, 0
	p.session, p.codes, p.profiles = session{}, nil, nil
	for ctx.Err() == nil {
		if p.account(ctx, p.person, p.user) == nil {
			return true
		}
		p.pause(ctx, pace)
	}
	return false
}

// firstLogin sometimes comes from several devices at once: all must be the same user. It ends with a session.
func (p *phone) firstLogin(ctx context.Context) bool {
	if p.rng.IntN(2) == 0 {
		p.loginAtOnce(ctx, 2+p.rng.IntN(3))
	}
	return p.loginUntilOK(ctx)
}

// loginAgain sometimes calls wx.login twice, or has another session_key.
func (p *phone) loginAgain(ctx context.Context) bool {
	switch p.rng.IntN(4) {
	case 0:
		p.loginAtOnce(ctx, 2)
	case 1:
		if p.cluster.simulator.NewKey(ctx, p.person) == nil {
			p.account(ctx, p.person, p.user) // only for the new key
		}
		if p.rng.IntN(2) == 0 {
			p.profiles = nil // the next is sealed under a key that the server has not seen yet
			p.update(ctx)
		}
	}
	return p.loginUntilOK(ctx)
}

// loginAtOnce sends n logins at the same time and keeps none of their sessions.
func (p *phone) loginAtOnce(ctx context.Context, n int) {
	var sending sync.WaitGroup
	for range n {
		code, ok := p.nextCode(ctx)
		if !ok {
			break
		}
		server := p.server()
		sending.Go(func() { p.login(ctx, server, p.user, code, false) })
	}
	sending.Wait()
	p.pause(ctx, pace)
}

// loginUntilOK repeats until there is a session. It returns false if ctx ends.
func (p *phone) loginUntilOK(ctx context.Context) bool {
	for ctx.Err() == nil {
		code, ok := p.nextCode(ctx)
		if !ok {
			p.pause(ctx, retryPace)
			continue
		}
		s, r := p.login(ctx, p.server(), p.user, code, false)
		switch {
		case r.ok():
			p.session = s
			p.pause(ctx, pace)
			return true
		case r.failed():
			p.codes = slices.Insert(p.codes, 0, code) // once more: it may not have been spent
		case r.problem().Action == player.Relogin:
			p.codes = nil
		}
		p.pause(ctx, retryPace)
	}
	return false
}

// update sends the next profile until it is answered. It does nothing if WeChat gives none.
func (p *phone) update(ctx context.Context) {
	data, ok := p.nextProfile(ctx)
	if !ok {
		p.pause(ctx, retryPace)
		return
	}
	signed := url.Values{}
	if p.rng.IntN(2) == 0 {
		signed.Set("rawData", data.RawData)
		signed.Set("signature", data.Signature)
	}
	for ctx.Err() == nil {
		r := p.traffic.update(ctx, p.server(), p.session, data, signed)
		if !r.failed() {
			if r.problem().Action == player.Relogin {
				p.profiles = nil
				p.loginUntilOK(ctx)
			}
			p.pause(ctx, pace)
			return
		}
		p.profiles = nil // the next must certainly be newer than this one
		p.pause(ctx, retryPace)
	}
}

// nextCode returns a code of wx.login: one that was prepared, or a new one.
func (p *phone) nextCode(ctx context.Context) (string, bool) {
	for len(p.codes) < codesAhead {
		code, err := p.code(ctx, p.person)
		if err != nil {
			break
		}
		p.codes = append(p.codes, code)
	}
	return pop(&p.codes)
}

// nextProfile returns the next sealed profile. Several are prepared at a time, each with its own nickname.
func (p *phone) nextProfile(ctx context.Context) (player.Sealed, bool) {
	if len(p.profiles) == 0 {
		for len(p.profiles) < profilesAhead {
			data, err := p.cluster.simulator.UserInfo(ctx, p.person, player.Nickname(p.user, p.revision+1))
			if err != nil {
				break
			}
			p.revision++
			p.profiles = append(p.profiles, data)
		}
		p.account(ctx, p.person, p.user) // wx.login, or a restart, may have replaced the key
	}
	return pop(&p.profiles)
}

// pop takes the first of a queue, if it has one.
func pop[T any](queue *[]T) (first T, ok bool) {
	if len(*queue) == 0 {
		return first, false
	}
	first, *queue = (*queue)[0], (*queue)[1:]
	return first, true
}

func (p *phone) server() int { return p.rng.IntN(len(p.cluster.servers)) }

// pause waits for one to three times d.
func (p *phone) pause(ctx context.Context, d time.Duration) {
	process.Sleep(ctx, d+time.Duration(p.rng.Int64N(int64(2*d))))
}
