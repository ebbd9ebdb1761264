package main

import (
	"context"
	"net/url"
	"time"
)

// checkEnded is no action of a mix: it follows a logout.
const checkEnded = actions

// job is an action with all that WeChat gives for it, ready to be sent.
type job struct {
	action action
	person *person
	form   string
	data   sealed // of an update
}

// prepare asks the simulator for what an action needs. It goes on until it has that, or ctx ends.
func (p *phone) prepare(ctx context.Context, u *person, a action) (job, bool) {
	for {
		j, err := p.ask(ctx, job{action: a, person: u})
		if err == nil {
			return j, true
		}
		if !sleepUntil(ctx, time.Now().Add(p.jitter(simulatorPause))) {
			return job{}, false
		}
	}
}

func (p *phone) ask(ctx context.Context, j job) (job, error) {
	switch j.action {
	case returning, newcomer:
		return p.askLogin(ctx, j)
	case update, unchanged:
		return p.askProfile(ctx, j)
	case introspect:
		j.form = "token=" + url.QueryEscape(j.person.token)
	}
	return j, nil
}

// askLogin is wx.login. It may replace the session_key, and what is sealed from then on is for the session to come: until
// there is that, this user can do nothing else.
func (p *phone) askLogin(ctx context.Context, j job) (job, error) {
	u := j.person
	if u.openID == "" && len(p.load.config.internals) > 0 {
		openID, err := p.load.simulator.openID(ctx, u.name)
		if err != nil {
			return job{}, err
		}
		u.openID = openID
	}
	code, err := p.load.simulator.login(ctx, u.name)
	if err != nil {
		return job{}, err
	}
	u.forget()
	j.form = "code=" + url.QueryEscape(code)
	if appID := p.load.config.appID; appID != "" {
		j.form += "&appid=" + url.QueryEscape(appID)
	}
	return j, nil
}

// askProfile is wx.getUserInfo, with a new nickname or with that of before.
func (p *phone) askProfile(ctx context.Context, j job) (job, error) {
	u := j.person
	name := u.profile.last().NickName
	if j.action == unchanged && name == "" {
		j.action = update
	}
	if j.action == update {
		name = nickname(u.name, u.revision+1)
	}
	data, err := p.load.simulator.userInfo(ctx, u.name, name)
	if err != nil {
		return job{}, err
	}
	if j.action == update {
		u.revision++
	}
	j.data = data
	j.form = "encryptedData=" + url.QueryEscape(data.EncryptedData) + "&iv=" + url.QueryEscape(data.IV)
	return j, nil
}

// send sends a job and checks what comes of it.
func (p *phone) send(j job) (route, reply, verdict) {
	u := j.person
	switch j.action {
	case update, unchanged:
		r := p.request(updateUserInfo, u.bearer, j.form)
		return updateUserInfo, r, u.onUpdate(r, j.data, j.action == update)
	case userInfo:
		r := p.request(getUserInfo, u.bearer, "")
		return getUserInfo, r, u.onUserInfo(r)
	case introspect:
		r := p.request(postIntrospect, nil, j.form)
		return postIntrospect, r, u.onIntrospect(r)
	case logout:
		r := p.request(postLogout, u.bearer, "")
		return postLogout, r, u.onLogout(r)
	case checkEnded:
		return p.sendEnded(u)
	}
	r := p.request(onLogin, nil, j.form)
	return onLogin, r, u.onLogin(r)
}

// sendEnded shows an ended token to a server: as another service, where there is an internal listener.
func (p *phone) sendEnded(u *person) (route, reply, verdict) {
	if len(p.load.config.internals) == 0 {
		r := p.request(getUserInfo, []string{"Bearer " + u.ended}, "")
		return getUserInfo, r, u.onEnded(r, false)
	}
	r := p.request(postIntrospect, nil, "token="+url.QueryEscape(u.ended))
	return postIntrospect, r, u.onEnded(r, true)
}

func (p *phone) request(r route, bearer []string, form string) reply {
	return p.load.api.send(p.rng, r, bearer, form, &p.answer)
}
