package main

import (
	"bytes"
	"context"
	"math/rand/v2"
	"time"

	"wxlogin/internal/contract"
)

const (
	maxWait = 10 * time.Second // the longest Retry-After that is waited for, as in the mini-program's client

	// ahead is how long before an action is due it is prepared: long enough for a slow simulator, and far less than a code lives.
	ahead = 2 * time.Second

	// discouraged is how long a user leaves the mini-program alone after a failure without advice.
	discouraged = time.Second
)

// phone plays its users, one action at a time. Who is told to wait does; the phone goes on with another user.
type phone struct {
	load   *load
	rng    *rand.Rand
	people []*person
	next   int
	waits  waits
	answer bytes.Buffer
}

// play goes on until the schedule is over or ctx ends.
func (p *phone) play(ctx context.Context) {
	for {
		u, a, ok := p.choose(ctx)
		if !ok {
			return
		}
		due, ok := p.load.schedule.take()
		if !ok || !sleepUntil(ctx, due.Add(-ahead)) {
			return
		}
		begun := time.Now()
		j, ok := p.prepare(ctx, u, a)
		if !ok {
			return
		}
		p.waits.add(begun, time.Now())
		if !sleepUntil(ctx, due) {
			return
		}
		p.do(j, due, p.waits.since(due))
	}
}

// do sends a job, records what came of it, and has its user heed that.
func (p *phone) do(j job, due time.Time, preparing time.Duration) verdict {
	sent := time.Now()
	route, reply, v := p.send(j)
	p.load.recorder.add(sample{
		route: route, due: due, sent: sent, preparing: preparing, reply: reply, verdict: v, user: j.person.name,
	})
	p.heed(j.person, route, v, reply.ended)
	return v
}

// choose finds out who does what next. It waits where all users do, and reports false when the run is over.
func (p *phone) choose(ctx context.Context) (*person, action, bool) {
	for {
		now := time.Now()
		if ctx.Err() != nil || !now.Before(p.load.schedule.end) {
			return nil, 0, false
		}
		u, free := p.nextFree(now)
		if u == nil {
			sleepUntil(ctx, earlier(free, p.load.schedule.end))
			continue
		}
		if u.ended != "" {
			return u, checkEnded, true
		}
		a := p.load.config.mix.choose(p.rng)
		switch {
		case a == newcomer:
			u = p.load.newcomer()
			p.people[p.next] = u
		case u.mustLogin(now):
			a = returning
		}
		return u, a, true
	}
}

// nextFree is the next user in turn who does not wait; nil where all do, and when the first of them is free.
func (p *phone) nextFree(now time.Time) (u *person, free time.Time) {
	for range p.people {
		p.next = (p.next + 1) % len(p.people)
		u = p.people[p.next]
		if !now.Before(u.waitUntil) {
			return u, now
		}
		if free.IsZero() || u.waitUntil.Before(free) {
			free = u.waitUntil
		}
	}
	return nil, free
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// heed has a user do what an answer advises, as the mini-program's client does.
func (p *phone) heed(u *person, r route, v verdict, now time.Time) {
	switch {
	case v.ok():
		return
	case v.action == contract.Relogin && r != onLogin:
		u.forget() // the next action is a login
	case v.action == contract.Retry:
		u.waitUntil = now.Add(p.jitter(min(time.Duration(v.retryAfter)*time.Second, maxWait)))
	default:
		u.waitUntil = now.Add(p.jitter(discouraged))
	}
}

// jitter makes a time longer by up to a half, so that phones do not all come back at once.
func (p *phone) jitter(d time.Duration) time.Duration {
	return d + time.Duration(p.rng.Int64N(int64(d/2)+1))
}
