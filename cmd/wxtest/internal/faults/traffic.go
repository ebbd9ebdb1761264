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

	longLivedTimeout = 5 * time.Second
)

// traffic sends requests and records them.
type traffic struct {
	cluster  *cluster
	client   *player.Client
	recorder *recorder
}

func newTraffic(c *cluster) *traffic {
	var urls []string
	for _, s := range c.servers {
		urls = append(urls, "http://"+s.Public)
	}
	client := player.NewClient(urls, nil, "", requestTimeout, player.NewTransport(4*phones))
	return &traffic{cluster: c, client: client, recorder: newRecorder()}
}

// send sends a request to a server and records it. r says what it is about; send fills in the rest.
func (t *traffic) send(ctx context.Context, server int, r request, form url.Values) request {
	r.server = t.cluster.servers[server].Name
	r.sent = t.recorder.now()
	r.reply = t.client.Send(ctx, player.Request{Route: r.route, Server: server, Form: form.Encode()})
	r.ended = t.recorder.now()
	t.recorder.add(r)
	return r
}

// account records what only the simulator knows of a user: the openid and the present session_key.
func (t *traffic) account(ctx context.Context, user string) error {
	openID, key, err := t.cluster.simulator.Account(ctx, user)
	if err == nil {
		t.recorder.addUser(user, openID)
		t.recorder.addSecret(secretKey, key)
	}
	return err
}

func (t *traffic) code(ctx context.Context, user string) (string, error) {
	code, err := t.cluster.simulator.Login(ctx, user)
	if err == nil {
		t.recorder.addSecret(secretCode, code)
	}
	return code, err
}

func (t *traffic) login(ctx context.Context, server int, user, code string, longLived bool) request {
	r := t.send(ctx, server, request{route: player.Login, user: user, longLived: longLived}, url.Values{"code": {code}})
	if r.ok() {
		t.recorder.addSecret(secretToken, r.body().Token)
	}
	return r
}

// load is all phones at play.
type load struct {
	cancel  context.CancelFunc
	playing sync.WaitGroup
}

// startLoad lets the phones play until stop. ctx ends them at once.
func startLoad(ctx context.Context, seed uint64, t *traffic) *load {
	playing, cancel := context.WithCancel(ctx)
	l := &load{cancel: cancel}
	for i := range phones {
		p := &phone{traffic: t, index: i, rng: rand.New(rand.NewPCG(seed, uint64(i)+1))} // 0 is the plan's
		l.playing.Go(func() { p.play(ctx, playing) })
	}
	return l
}

// stop lets every phone finish what it is doing: its user is logged in then. It waits for that.
func (l *load) stop() {
	l.cancel()
	l.playing.Wait()
}

// phone plays one user after the other: wx.login, /onLogin, some /updateUserInfo, again, then the next user.
type phone struct {
	*traffic
	index int
	rng   *rand.Rand

	number   int // of users so far
	user     string
	revision int
	token    string
	session  span // of the login that returned the token
	codes    []string
	profiles []sealedProfile
}

type sealedProfile struct {
	player.Sealed
	revision int
}

// play goes on until playing ends, and then to the end of the present user's login.
func (p *phone) play(ctx, playing context.Context) {
	for playing.Err() == nil {
		if !p.nextUser(ctx) || !p.firstLogin(ctx) {
			return
		}
		for round := range 3 + p.rng.IntN(3) {
			if playing.Err() != nil || round > 0 && !p.loginAgain(ctx) {
				break
			}
			for n := p.updates(); n > 0 && playing.Err() == nil; n-- {
				p.update(ctx)
			}
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

// nextUser continues as a user who has never logged in. It waits until the simulator says the openid.
func (p *phone) nextUser(ctx context.Context) bool {
	p.number++
	p.user, p.revision = fmt.Sprintf("u%02d-%d", p.index, p.number), 0
	p.token, p.session, p.codes, p.profiles = "", span{}, nil, nil
	for ctx.Err() == nil {
		if p.account(ctx, p.user) == nil {
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
		if p.cluster.simulator.NewKey(ctx, p.user) == nil {
			p.account(ctx, p.user) // only for the new key
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
		r := p.login(ctx, p.server(), p.user, code, false)
		switch {
		case r.ok():
			p.token, p.session = r.body().Token, r.span
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
	form := data.Form()
	form.Set("token", p.token)
	if p.rng.IntN(2) == 0 {
		form.Set("rawData", data.RawData)
		form.Set("signature", data.Signature)
	}
	for ctx.Err() == nil {
		r := p.send(ctx, p.server(), request{
			route: player.Update, user: p.user, revision: data.revision, watermark: data.Watermark, session: p.session,
		}, form)
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
		code, err := p.code(ctx, p.user)
		if err != nil {
			break
		}
		p.codes = append(p.codes, code)
	}
	if len(p.codes) == 0 {
		return "", false
	}
	code := p.codes[0]
	p.codes = p.codes[1:]
	return code, true
}

// nextProfile returns the next sealed profile. Several are prepared at a time, each with its own nickname.
func (p *phone) nextProfile(ctx context.Context) (sealedProfile, bool) {
	if len(p.profiles) == 0 {
		for len(p.profiles) < profilesAhead {
			data, err := p.cluster.simulator.UserInfo(ctx, p.user, player.Nickname(p.user, p.revision+1))
			if err != nil {
				break
			}
			p.revision++
			p.profiles = append(p.profiles, sealedProfile{data, p.revision})
		}
		p.account(ctx, p.user) // wx.login, or a restart, may have replaced the key
	}
	if len(p.profiles) == 0 {
		return sealedProfile{}, false
	}
	data := p.profiles[0]
	p.profiles = p.profiles[1:]
	return data, true
}

func (p *phone) server() int { return p.rng.IntN(len(p.cluster.servers)) }

// pause waits for one to three times d.
func (p *phone) pause(ctx context.Context, d time.Duration) {
	process.Sleep(ctx, d+time.Duration(p.rng.Int64N(int64(2*d))))
}

// longLived are sessions that began before a fault and are used after it, and after all later ones. They must still work,
// except for those that Redis has lost.
type longLived struct {
	*traffic
	number   int
	sessions []longLivedSession
}

type longLivedSession struct {
	user, token string
	session     span
	data        player.Sealed // under this session's key, to be sent again and again
}

// login adds a session at each server. There is no fault now: a busy machine may need a second attempt.
func (l *longLived) login(ctx context.Context) error {
	for i, s := range l.cluster.servers {
		attempt := func(ctx context.Context) error { return l.loginAt(ctx, i) }
		if err := process.Await(ctx, s.Name, longLivedTimeout, attempt); err != nil {
			return err
		}
	}
	return nil
}

func (l *longLived) loginAt(ctx context.Context, server int) error {
	l.number++
	user := fmt.Sprintf("k%02d", l.number)
	if err := l.account(ctx, user); err != nil {
		return err
	}
	code, err := l.code(ctx, user)
	if err != nil {
		return err
	}
	data, err := l.cluster.simulator.UserInfo(ctx, user, player.Nickname(user, 1))
	if err != nil {
		return err
	}
	r := l.traffic.login(ctx, server, user, code, true)
	if !r.ok() {
		return fmt.Errorf("a login before the fault is answered %d %s", r.reply.Status, r.problem().Code)
	}
	l.sessions = append(l.sessions, longLivedSession{user, r.body().Token, r.span, data})
	return nil
}

// comeBack uses every session at every server, and forgets those that are refused.
func (l *longLived) comeBack(ctx context.Context) {
	l.sessions = slices.DeleteFunc(l.sessions, func(s longLivedSession) bool {
		form := s.data.Form()
		form.Set("token", s.token)
		lost := false
		for i := range l.cluster.servers {
			r := l.send(ctx, i, request{
				route: player.Update, user: s.user, longLived: true, revision: 1, watermark: s.data.Watermark, session: s.session,
			}, form)
			lost = lost || r.reply.Status == 401
		}
		return lost
	})
}
