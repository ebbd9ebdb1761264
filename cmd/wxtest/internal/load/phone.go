package load

import (
	"context"
	"fmt"
	"time"

	"wxlogin/cmd/wxtest/internal/player"
	"wxlogin/cmd/wxtest/internal/process"
)

// phone plays its users, one action at a time.
type phone struct {
	player.Player
	run   *run
	users []*player.User
	next  int
	waits waits
}

func (p *phone) arrive(ctx context.Context, u *player.User) error {
	var v player.Verdict
	for range loginAttempts {
		if !sleepUntil(ctx, u.WaitUntil) {
			return ctx.Err()
		}
		j, err := p.Prepare(ctx, u, player.Returning)
		if err != nil {
			return fmt.Errorf("simulator: %w", err)
		}
		if v = p.do(j, time.Now(), 0); v.Code == "" && u.LoggedIn(time.Now()) {
			u.WaitUntil = time.Time{}
			return nil
		}
	}
	if v.Wrong != "" {
		return fmt.Errorf("the response to a login is wrong: %s", v.Why)
	}
	return fmt.Errorf("a login ends with %s", v.Code)
}

// play plays actions until the schedule or ctx ends.
func (p *phone) play(ctx context.Context) {
	for {
		u, a, ok := p.choose(ctx)
		if !ok {
			return
		}
		due, ok := p.run.schedule.take()
		if !ok || !sleepUntil(ctx, due.Add(-prepareLead)) {
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

// prepare prepares an action, however often the simulator fails, until ctx ends.
func (p *phone) prepare(ctx context.Context, u *player.User, a player.Action) (player.Job, bool) {
	for {
		j, err := p.Prepare(ctx, u, a)
		if err == nil {
			return j, true
		}
		if !process.Sleep(ctx, p.jitter(simulatorBackoff)) {
			return player.Job{}, false
		}
	}
}

// do sends a job, records what came of it, and has its user follow that.
func (p *phone) do(j player.Job, due time.Time, preparing time.Duration) player.Verdict {
	sent := time.Now()
	route, reply, v := p.Send(j)
	p.run.recorder.add(sample{
		route: route, due: due, sent: sent, preparing: preparing, ended: reply.Ended, requestID: reply.ID, verdict: v, user: j.User.Name,
	})
	p.follow(j.User, route, v, reply.Ended)
	return v
}

// choose returns the next user and action. If all users wait, it waits too. It returns false when the run is over.
func (p *phone) choose(ctx context.Context) (*player.User, player.Action, bool) {
	for {
		now := time.Now()
		if ctx.Err() != nil || !now.Before(p.run.schedule.end) {
			return nil, 0, false
		}
		u, free := p.nextFree(now)
		if u == nil {
			sleepUntil(ctx, earlier(free, p.run.schedule.end))
			continue
		}
		if u.LoggedOut() {
			return u, player.Recheck, true
		}
		a := p.run.mix.choose(p.RNG)
		switch {
		case a == player.Newcomer:
			u = p.run.newcomer()
			p.users[p.next] = u
		case !u.LoggedIn(now):
			a = player.Returning
		}
		return u, a, true
	}
}

// nextFree returns the next user in turn who does not wait; nil if all do, and when the first of them is free.
func (p *phone) nextFree(now time.Time) (u *player.User, free time.Time) {
	for range p.users {
		p.next = (p.next + 1) % len(p.users)
		u = p.users[p.next]
		if !now.Before(u.WaitUntil) {
			return u, now
		}
		if free.IsZero() || u.WaitUntil.Before(free) {
			free = u.WaitUntil
		}
	}
	return nil, free
}

// follow has a user do what an error advises, as the mini-program's client does.
func (p *phone) follow(u *player.User, route player.Route, v player.Verdict, now time.Time) {
	switch {
	case v.OK():
	case v.Action == player.Relogin && route != player.Login:
		u.Forget() // the next action is a login
	case p.run.impatient:
	case v.Action == player.Retry:
		u.WaitUntil = now.Add(p.jitter(min(time.Duration(v.RetryAfter)*time.Second, maxRetryAfter)))
	default:
		u.WaitUntil = now.Add(p.jitter(failureBackoff))
	}
}

// jitter makes a duration longer by up to a half, so that phones do not all come back at once.
func (p *phone) jitter(d time.Duration) time.Duration {
	return d + time.Duration(p.RNG.Int64N(int64(d/2)+1))
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func sleepUntil(ctx context.Context, t time.Time) bool { return process.Sleep(ctx, time.Until(t)) }
