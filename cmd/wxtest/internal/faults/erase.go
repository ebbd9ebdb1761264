package faults

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"mime/multipart"
	"net/url"
	"path"
	"strings"
	"sync"

	"wxlogin/cmd/wxtest/internal/player"
	"wxlogin/cmd/wxtest/internal/report"
)

// picture is the body of an upload, and its type.
var picture = sync.OnceValue(func() player.Request {
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	part, _ := m.CreateFormFile("file", "a.png") // writes to a buffer do not fail
	png.Encode(part, image.NewGray(image.Rect(0, 0, 16, 16)))
	m.Close()
	return player.Request{Form: body.String(), Type: m.FormDataContentType()}
})

// upload sends a picture once.
func (p *phone) upload(ctx context.Context) {
	body := picture()
	body.Bearer = p.session.token
	r := p.sendBody(ctx, p.server(), request{route: player.Upload, user: p.user}, body)
	if r.answered() && r.problem().Action == player.Relogin {
		p.loginUntilOK(ctx)
	}
	p.pause(ctx, pace)
}

// end uploads pictures and deletes the person's account. Sometimes another account turns out to be the person's before that,
// and is merged into it. (There are no updates after an upload: WeChat's data of the same second is older.)
func (p *phone) end(ctx context.Context) (gone bool) {
	for range p.rng.IntN(3) {
		p.upload(ctx)
	}
	if p.rng.IntN(3) > 0 {
		return p.deleteAccount(ctx)
	}
	twin := p.person + twinSuffix
	p.merge(ctx, twin)
	if gone = p.deleteAccount(ctx); gone {
		p.recorder.addErased(twin, true)
	}
	return gone
}

// twinSuffix marks an account that is merged into that of a person.
const twinSuffix = "~"

// merge lets a younger account, without a profile, log in with the person's unionid. The simulator forgets unionids when it is
// killed: so each login that needs one begins with binding it, and begins again if anything fails.
func (p *phone) merge(ctx context.Context, twin string) {
	until := func(done func() bool) {
		for ctx.Err() == nil && !done() {
			p.pause(ctx, retryPace)
		}
	}
	login := func(person, user string) (session, bool) {
		code, err := p.code(ctx, person)
		if err != nil {
			return session{}, false
		}
		s, r := p.login(ctx, p.server(), user, code, false)
		return s, r.ok()
	}
	loginBound := func(person string) (session, bool) {
		if p.cluster.simulator.Bind(ctx, person, "union-of-"+p.person) != nil {
			return session{}, false
		}
		return login(person, p.user)
	}
	until(func() bool { return p.account(ctx, twin, twin) == nil })
	until(func() bool { _, ok := login(twin, twin); return ok })
	p.codes = nil
	until(func() bool {
		s, ok := loginBound(p.person)
		if ok {
			p.session = s
		}
		return ok
	})
	until(func() bool { _, ok := loginBound(twin); return ok })
}

// deleteAccount deletes the person's account, again until it is answered. It returns true if the account is certainly gone. A
// token that is refused after a request without an answer may be the account's or one that Redis has lost: then the person
// does not come back.
func (p *phone) deleteAccount(ctx context.Context) (gone bool) {
	maybe := false
	for ctx.Err() == nil {
		r := p.send(ctx, p.server(), request{route: player.DeleteAccount, user: p.user},
			url.Values{"token": {p.session.token}, "confirm": {"delete"}})
		switch {
		case r.ok():
			p.recorder.addErased(p.user, true)
			return true
		case r.problem().Action == player.Relogin && maybe:
			p.recorder.addErased(p.user, false)
			return false
		case r.problem().Action == player.Relogin:
			if !p.loginUntilOK(ctx) {
				return false
			}
		case r.uncertain():
			maybe = true
		}
		p.pause(ctx, retryPace)
	}
	p.recorder.addErased(p.user, false)
	return false
}

// beginAgain goes on as the same person with a new account.
func (p *phone) beginAgain(ctx context.Context) {
	p.user, p.revision = p.person+"+", 0
	p.codes, p.profiles = nil, nil
	for ctx.Err() == nil && p.account(ctx, p.person, p.user) != nil {
		p.pause(ctx, pace)
	}
}

// checkErased compares the users that deleted their account with MySQL. That no response shows what an erased user had is
// checked with other users' data: the account that a person begins afterwards is another one.
func checkErased(res *results, c *report.Check) {
	rows, d := res.database.byOpenID(), res.database.erased
	atMost := 0
	for user, certain := range res.erased {
		if !strings.HasSuffix(user, twinSuffix) {
			atMost++
		}
		if !certain {
			if _, found := rows[res.openIDs[user]]; found {
				continue
			}
		}
		if !strings.HasSuffix(user, twinSuffix) {
			c.Count++
		}
		if name := res.lastPicture(user); name != "" && res.pictures[name] {
			c.Fail("a picture of %s is still there", user)
		}
		if row, found := rows[res.openIDs[user]]; found && (row.orphan || row.user() == user) {
			c.Fail("%s is still there", user)
		}
	}
	if d.users < c.Count || d.users > atMost {
		c.Fail("%d users are marked as erased, but %d deleted their account", d.users, c.Count)
	}
	if d.filled != 0 || d.records != d.users || d.twice != 0 {
		c.Fail("of %d erased users %d have something left; user_changes has %d of them, %d twice", d.users, d.filled, d.records, d.twice)
	}
	if d.pending != 0 {
		c.Fail("%d sessions or pictures are still to be deleted", d.pending)
	}
	if c.Count == 0 {
		c.Fail("no user deleted the account")
	}
}

// lastPicture returns the name of the uploaded picture that a user had last; "" if there was none, or if a request that may
// have replaced it got no answer.
func (res *results) lastPicture(user string) (name string) {
	for _, r := range res.requests {
		switch {
		case r.user != user || r.route == player.DeleteAccount:
		case r.ok():
			name = ""
			if address := r.body().UserInfo.AvatarURL; strings.Contains(address, "/avatars/") {
				name = path.Base(address)
			}
		case r.uncertain() && r.route != player.Login:
			return ""
		}
	}
	return name
}

// user returns whose nickname the row has.
func (i identity) user() string {
	user, _, _ := player.ReadNickname(i.nickname)
	return user
}
