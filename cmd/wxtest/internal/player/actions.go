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

// Job is an action with everything from WeChat that it needs, ready to be sent.
type Job struct {
	User   *User
	action Action
	form   string
	data   Sealed // of an update
}

// Prepare gets from the simulator what an action needs.
func (p *Player) Prepare(ctx context.Context, u *User, a Action) (Job, error) {
	j := Job{User: u, action: a}
	switch a {
	case Returning, Newcomer:
		return p.prepareLogin(ctx, j)
	case Changing, Unchanged:
		return p.prepareUpdate(ctx, j)
	case Introspecting:
		j.form = url.Values{"token": {u.token}}.Encode()
	}
	return j, nil
}

// prepareLogin is wx.login. It may replace the session_key, and what is sealed after that belongs to the next session: until
// the user has that, the user can do nothing else.
func (p *Player) prepareLogin(ctx context.Context, j Job) (_ Job, err error) {
	u := j.User
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
	j.form = form.Encode()
	return j, nil
}

// prepareUpdate is wx.getUserInfo.
func (p *Player) prepareUpdate(ctx context.Context, j Job) (_ Job, err error) {
	u := j.User
	name := u.profiles.last().NickName
	if name == "" {
		j.action = Changing
	}
	if j.action == Changing {
		name = Nickname(u.Name, u.revision+1)
	}
	if j.data, err = p.Simulator.UserInfo(ctx, u.Name, name); err != nil {
		return Job{}, err
	}
	if j.action == Changing {
		u.revision++
	}
	j.form = j.data.Form().Encode()
	return j, nil
}

// introspects reports whether an internal listener can be reached.
func (p *Player) introspects() bool { return p.Client.Servers(Introspect) > 0 }

// Send sends a job and checks what comes of it. It does not end with a run, so that every request ends by itself.
func (p *Player) Send(j Job) (Route, Reply, Verdict) {
	u := j.User
	switch j.action {
	case Changing, Unchanged:
		r := p.send(Update, u.token, j.form)
		return Update, r, u.onUpdate(r, j.data, j.action == Changing)
	case Reading:
		r := p.send(ReadUser, u.token, "")
		return ReadUser, r, u.onRead(r)
	case Introspecting:
		r := p.send(Introspect, "", j.form)
		return Introspect, r, u.onIntrospect(r)
	case LoggingOut:
		r := p.send(Logout, u.token, "")
		return Logout, r, u.onLogout(r)
	case Recheck:
		route, bearer, form := ReadUser, u.ended, ""
		if p.introspects() {
			route, bearer, form = Introspect, "", url.Values{"token": {u.ended}}.Encode()
		}
		r := p.send(route, bearer, form)
		return route, r, u.onEnded(route, r)
	}
	r := p.send(Login, "", j.form)
	return Login, r, u.onLogin(r)
}

func (p *Player) send(route Route, bearer, form string) Reply {
	server := 0
	if n := p.Client.Servers(route); n > 1 {
		server = p.RNG.IntN(n)
	}
	return p.Client.Send(context.Background(), Request{Route: route, Server: server, Bearer: bearer, Form: form})
}
