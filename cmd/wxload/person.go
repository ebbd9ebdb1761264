package main

import (
	"time"

	"wxlogin/internal/contract"
)

// person is one user, in the hand of one phone, and all that is known of that user's state at the server.
type person struct {
	name   string
	openID string // "" before the simulator is asked for it

	subject  string // sub and client_id of introspections; "" before they are known
	clientID string

	seen     bool // has logged in, in this run
	revision int  // of the newest nickname
	profile  profile

	token   string        // "" where a login must come first
	bearer  []string      // Authorization with it
	life    time.Duration // of the token, without use
	expires time.Time
	ended   string // a token whose session was ended, and that was not yet seen to be of no use

	waitUntil time.Time // told to wait
}

// newPerson is somebody whom the server may know from an earlier run. The appid may be empty.
func newPerson(name, appID string) *person {
	return &person{name: name, clientID: appID, profile: profile{anyOwn: true}}
}

// newNewcomer is somebody who was never here.
func newNewcomer(name, appID string) *person {
	p := newPerson(name, appID)
	p.profile.begin(contract.UserInfo{})
	return p
}

// mustLogin tells whether there is no token that could be valid.
func (p *person) mustLogin(now time.Time) bool { return p.token == "" || !now.Before(p.expires) }

// forget gives the token up.
func (p *person) forget() { p.token, p.bearer = "", nil }

// used moves the token's end on, as the server did.
func (p *person) used(now time.Time) { p.expires = now.Add(p.life) }

// onLogin checks the answer to a login, and takes the session.
func (p *person) onLogin(r reply) verdict {
	v, done := judge(r)
	if done {
		return v
	}
	b, err := contract.ReadLogin(r.answer, r.requestID)
	if err != nil {
		return wrong(outsideContract, err.Error())
	}
	known := p.seen
	p.seen = true
	p.token, p.bearer = b.Token, []string{"Bearer " + b.Token}
	p.life = time.Duration(b.ExpiresIn) * time.Second
	p.used(r.ended)
	if b.IsNewUser && known {
		return wrong(newTwice, "isNewUser of somebody who has logged in before")
	}
	v = p.shows(b.UserInfo)
	if !known && v.ok() && p.profile.anyOwn {
		p.profile.begin(b.UserInfo)
		p.revision, _ = revisionOf(p.name, b.UserInfo.NickName)
	}
	return v
}

// onUpdate checks the answer to an update with data. changes is false for data that is meant to change nothing.
func (p *person) onUpdate(r reply, data sealed, changes bool) verdict {
	v, done := judge(r)
	if !done {
		v = p.updated(r, data)
	}
	switch {
	case v.ok() && changes:
		p.profile.acknowledge(data)
	case v.ok():
		p.profile.acknowledgeUnchanged(data)
	case v.unknownEnd(r) || v.fault != "":
		p.profile.suspect(data)
	}
	return v
}

func (p *person) updated(r reply, data sealed) verdict {
	b, err := contract.ReadUpdate(r.answer, r.requestID)
	switch {
	case err != nil:
		return wrong(outsideContract, err.Error())
	case b.UserInfo == data.UserInfo && b.Anonymous:
		return wrong(outsideContract, "a real profile that is called anonymous")
	case b.UserInfo == data.UserInfo:
		p.used(r.ended)
		return verdict{}
	case isOwn(p.name, b.UserInfo):
		return wrong(staleProfile, "an update does not answer what was sent")
	}
	return wrong(othersProfile, "an update answers another profile than was sent")
}

// onUserInfo checks the answer to a reading of the profile.
func (p *person) onUserInfo(r reply) verdict {
	v, done := judge(r)
	if done {
		return v
	}
	b, err := contract.ReadUser(r.answer, r.requestID)
	if err != nil {
		return wrong(outsideContract, err.Error())
	}
	p.used(r.ended)
	return p.shows(b.UserInfo)
}

// shows checks a profile in an answer.
func (p *person) shows(info contract.UserInfo) verdict {
	switch {
	case p.profile.allows(p.name, info):
		return verdict{}
	case isOwn(p.name, info):
		return wrong(staleProfile, "the profile is not the one that was written last")
	}
	return wrong(othersProfile, "the profile is none that this user ever had")
}

// onIntrospect checks what another service is told. A token that Redis has lost is inactive: that is an error, as an answer
// 401 is to the phone.
func (p *person) onIntrospect(r reply) verdict {
	v, done := judge(r)
	if done {
		return v
	}
	b, err := contract.ReadIntrospection(r.answer, r.requestID)
	switch {
	case err != nil:
		return wrong(outsideContract, err.Error())
	case !b.Active:
		return verdict{code: "invalid_token", action: contract.Relogin}
	case b.OpenID != p.openID:
		return wrong(otherIdentity, "an introspection names another openid")
	case b.UnionID != "":
		return wrong(otherIdentity, "an introspection names a unionid, and this user has none")
	case p.clientID != "" && b.ClientID != p.clientID:
		return wrong(otherIdentity, "an introspection names another client_id")
	case p.subject != "" && b.Subject != p.subject:
		return wrong(otherIdentity, "an introspection names another sub than before")
	}
	p.subject, p.clientID = b.Subject, b.ClientID
	p.used(r.ended)
	return verdict{}
}

// onLogout checks the answer to a logout. Whatever it is, the token is not used any more.
func (p *person) onLogout(r reply) verdict {
	token := p.token
	p.forget()
	v, done := judge(r)
	if done {
		return v
	}
	if err := contract.ReadLogout(r.answer, r.requestID); err != nil {
		return wrong(outsideContract, err.Error())
	}
	p.ended = token
	return verdict{}
}

// onEnded checks what becomes of a token whose session was ended, at an introspection or at GET /userInfo. What is refused
// as it should be is no error.
func (p *person) onEnded(r reply, introspected bool) verdict {
	v, done := judge(r)
	switch {
	case done && v.code == "invalid_token" && !introspected:
		p.ended = ""
		return verdict{}
	case done:
		return v
	}
	p.ended = ""
	if !introspected {
		return wrong(activeAfterLogout, "a token is taken after its logout")
	}
	b, err := contract.ReadIntrospection(r.answer, r.requestID)
	switch {
	case err != nil:
		return wrong(outsideContract, err.Error())
	case b.Active:
		return wrong(activeAfterLogout, "a token is active after its logout")
	}
	return verdict{}
}
