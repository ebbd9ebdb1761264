package faults

import (
	"context"
	"net/url"

	"wxlogin/cmd/wxtest/internal/player"
	"wxlogin/cmd/wxtest/internal/report"
)

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
		atMost++
		if !certain {
			if _, found := rows[res.openIDs[user]]; found {
				continue
			}
		}
		c.Count++
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

// user returns whose nickname the row has.
func (i identity) user() string {
	user, _, _ := player.ReadNickname(i.nickname)
	return user
}
