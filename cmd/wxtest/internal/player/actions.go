package player

import (
	"context"
	"math/rand/v2"
	"net/url"
)

// Action is something that a user does.
type Action int

const (
	Returning     Action = iota // login of a user who was here before
	Newcomer                    // first login of a user who then takes another one's place
	Changing                    // update with a new nickname
	Unchanged                   // update with the profile that the server has; the first one if it has none
	Reading                     // GET /userInfo
	Introspecting               // another service asks whose token it is
	LoggingOut                  // after which the token is checked to be invalid, and the user logs in again
	Actions                     // how many there are

	// Recheck checks a token after its logout. It is in no mix.
	Recheck = Actions
)

// Player plays users, one action at a time.
type Player struct {
	Client    *Client
	Simulator *Simulator
	AppID     string     // "" if servers and simulator have one mini-program
	RNG       *rand.Rand // chooses the server
}

// Job is a request with everything from WeChat that it needs, ready to be sent.
type Job struct {
	User    *User
	request Request
	check   func(Reply) Verdict
}

// Prepare gets from the simulator what an action needs.
func (p *Player) Prepare(ctx context.Context, u *User, a Action) (Job, error) {
	switch a {
	case Changing, Unchanged:
		return p.prepareUpdate(ctx, u, a == Changing)
	case Reading:
		return Job{u, Request{Route: ReadUser, Bearer: u.token}, u.onRead}, nil
	case Introspecting:
		return Job{u, introspection(u.token), u.onIntrospect}, nil
	case LoggingOut:
		return Job{u, Request{Route: Logout, Bearer: u.token}, u.onLogout}, nil
	case Recheck:
		r := Request{Route: ReadUser, Bearer: u.ended}
		if p.introspects() {
			r = introspection(u.ended)
		}
		return Job{u, r, func(reply Reply) Verdict { return u.onEnded(r.Route, reply) }}, nil
	}
	return p.prepareLogin(ctx, u)
}

func introspection(token string) Request {
	return Request{Route: Introspect, Form: url.Values{"token": {token}}.Encode()}
}

// prepareLogin is wx.login. It may replace the session_key, and what is sealed after that belongs to the next session: until
// the user has that, the user can do nothing else.
func (p *Player) prepareLogin(ctx context.Context, u *User) (_ Job, err error) {
	if u.openID == "" && p.introspects() {
		if u.openID, _, err = p.Simulator.Account(ctx, u.Name); err != nil {
			return Job{}, err
		}
	}
	code, err := p.Simulator.Login(ctx, u.Name)
	if err != nil {
		return Job{}, err
	}
	u.Forget()
	form := url.Values{"code": {code}}
	if p.AppID != "" {
		form.Set("appid", p.AppID)
	}
	return Job{u, Request{Route: Login, Form: form.Encode()}, u.onLogin}, nil
}

// prepareUpdate is wx.getUserInfo. A user who has no nickname yet gets one.
func (p *Player) prepareUpdate(ctx context.Context, u *User, changes bool) (Job, error) {
	name, revision := u.profiles.last().NickName, u.revision
	if changes = changes || name == ""; changes {
		revision++
		name = Nickname(u.Name, revision)
	}
	data, err := p.Simulator.UserInfo(ctx, u.Name, name)
	if err != nil {
		return Job{}, err
	}
	u.revision = revision
	check := func(r Reply) Verdict { return u.onUpdate(r, data, changes) }
	return Job{u, Request{Route: Update, Bearer: u.token, Form: data.Form().Encode()}, check}, nil
}

// introspects reports whether an internal listener can be reached.
func (p *Player) introspects() bool { return len(p.Client.Internals) > 0 }

// Send sends a job and checks what comes of it. It does not end with a run, so that every request ends by itself.
func (p *Player) Send(j Job) (Route, Reply, Verdict) {
	r := j.request
	if n := len(p.Client.bases(r.Route)); n > 1 {
		r.Server = p.RNG.IntN(n)
	}
	reply := p.Client.Send(context.Background(), r)
	return r.Route, reply, j.check(reply)
}
