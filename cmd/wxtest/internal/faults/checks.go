package faults

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"wxlogin/cmd/wxtest/internal/player"
	"wxlogin/cmd/wxtest/internal/report"
)

// claim is what the suite shows.
type claim struct {
	text  string
	check func(*results, *report.Check)
}

// claims are in the order in which they are printed.
var claims = []claim{
	{"every 200 of /onLogin has its user in MySQL", checkLogins},
	{"every 200 of /updateUserInfo is in MySQL or superseded", checkUpdates},
	{"every later response showed it, or something newer", checkReading},
	{"MySQL holds exactly the users who logged in, each once", checkRows},
	{"isNewUser was true at most once for each user", checkNewUsers},
	{"no response showed another user's data", checkOthersData},
	{"no response had an openid, a session_key or a code in it", checkResponsesForSecrets},
	{"every response kept the contract, and none was 500", checkContract},
	{"tokens worked after each fault, except those that Redis lost: 401 relogin", checkTokens},
	{"no response took longer than its bound during a fault", checkBounds},
	{"all was well again within " + report.Seconds(recoveryBound) + " of each return", checkRecovery},
	{"no request failed before the first fault", checkIdle},
	{"SIGTERM stopped the server in order, and cut no request that it had accepted", checkOrderlyStop},
	{"every fault was felt under load, and both servers worked after it", checkEffect},
	{"the servers' logs have no secret and no panic in them (lines at level debug)", checkLogs},
}

const (
	// recoveryBound is from the component's return to the last request that failed because of the fault.
	recoveryBound = 2 * time.Second

	// With fewer than these a check would have seen nothing.
	minInFlight = 3  // requests at a server when it closed its port
	minDuring   = 20 // requests during a fault
	minAfter    = 10 // successes of each server on each route between the return and the next fault
)

func (res *results) check() (checks []report.Check) {
	for _, c := range claims {
		checks = append(checks, c.on(res))
	}
	return checks
}

func (c claim) on(res *results) report.Check {
	check := report.Check{Claim: c.text}
	c.check(res, &check)
	return check
}

// successes yields and counts the requests that succeeded on a route, or on any (-1).
func (res *results) successes(route player.Route, c *report.Check) func(yield func(request) bool) {
	return func(yield func(request) bool) {
		for _, r := range res.requests {
			if r.ok() && (route == -1 || r.route == route) {
				c.Count++
				if !yield(r) {
					return
				}
			}
		}
	}
}

func checkLogins(res *results, c *report.Check) {
	rows := res.database.byOpenID()
	for r := range res.successes(player.Login, c) {
		if row, found := rows[res.openIDs[r.user]]; !found || row.orphan {
			c.Fail("no row: %s", r.describe())
		}
	}
}

// updates are a user's updates by revision.
type updates map[int]*update

type update struct {
	watermark player.Watermark
	uncertain bool // one attempt at least may or may not have been done
}

func (res *results) updates() map[string]updates {
	all := map[string]updates{}
	for _, r := range res.requests {
		if r.route != player.Update {
			continue
		}
		if all[r.user] == nil {
			all[r.user] = updates{}
		}
		u := all[r.user][r.revision]
		if u == nil {
			u = &update{watermark: r.watermark}
			all[r.user][r.revision] = u
		}
		u.uncertain = u.uncertain || r.uncertain()
	}
	return all
}

// lost reports whether a profile that shows one revision has lost another that was acknowledged. WeChat's watermarks have
// seconds: of two in one second the one that MySQL got last remains, and an uncertain attempt may have got there late.
func (u updates) lost(shown, acknowledged int) bool {
	if shown >= acknowledged {
		return false
	}
	old, found := u[shown]
	return !found || !old.uncertain || !old.watermark.MaybeSame(u[acknowledged].watermark)
}

func checkUpdates(res *results, c *report.Check) {
	rows, all := res.database.byOpenID(), res.updates()
	for r := range res.successes(player.Update, c) {
		user, shown, ok := player.ReadNickname(rows[res.openIDs[r.user]].nickname)
		if !ok || user != r.user || all[r.user].lost(shown, r.revision) {
			c.Fail("MySQL has revision %d of %q, not %d: %s", shown, user, r.revision, r.describe())
		}
	}
}

// checkReading looks at all responses to requests that were sent after an update was acknowledged.
func checkReading(res *results, c *report.Check) {
	all, byUser := res.updates(), map[string][]request{}
	for r := range res.successes(-1, c) {
		byUser[r.user] = append(byUser[r.user], r)
	}
	for user, requests := range byUser {
		for _, r := range requests {
			newest := r.revision // an update shows itself
			for _, earlier := range requests {
				if earlier.ended < r.sent {
					newest = max(newest, earlier.revision)
				}
			}
			_, shown, ok := player.ReadNickname(r.body().UserInfo.NickName)
			if !ok || all[user] != nil && newest > 0 && all[user].lost(shown, newest) {
				c.Fail("it shows revision %d, not %d: %s", shown, newest, r.describe())
			}
		}
	}
	slices.Sort(c.Failures)
}

func checkRows(res *results, c *report.Check) {
	c.Count = res.database.users
	owners, in := map[string]string{}, map[string]bool{}
	for user, openID := range res.openIDs {
		owners[openID] = user
	}
	for _, r := range res.requests {
		if r.route == player.Login && r.ok() {
			in[r.user] = true
		}
	}
	identities, ids := map[string]bool{}, map[int64]bool{}
	for _, i := range res.database.identities {
		user := owners[i.openID]
		switch {
		case i.orphan:
			c.Fail("the identity of %q has no user", user)
		case identities[i.openID] || ids[i.userID]:
			c.Fail("%q shares an identity or a user", user)
		case !in[user]:
			c.Fail("%q has a row and never logged in", user)
		}
		identities[i.openID], ids[i.userID] = true, true
	}
	if res.database.lonely != 0 {
		c.Fail("%d users without an identity", res.database.lonely)
	}
	if res.database.users != len(in) {
		c.Fail("%d users, but %d logged in", res.database.users, len(in))
	}
}

func checkNewUsers(res *results, c *report.Check) {
	times, logins := map[string]int{}, report.Check{}
	for r := range res.successes(player.Login, &logins) {
		if !r.body().IsNewUser {
			continue
		}
		c.Count++
		if times[r.user]++; times[r.user] > 1 {
			c.Fail("once more: %s", r.describe())
		}
	}
}

func checkOthersData(res *results, c *report.Check) {
	for r := range res.successes(-1, c) {
		name := r.body().UserInfo.NickName
		if user, _, ok := player.ReadNickname(name); !ok || name != "" && user != r.user {
			c.Fail("it shows %q: %s", name, r.describe())
		}
	}
}

func checkResponsesForSecrets(res *results, c *report.Check) {
	find := res.finder(secretOpenID, secretKey, secretCode, secretApp, secretPassword)
	for _, r := range res.requests {
		if r.reply.Status == 0 {
			continue
		}
		c.Count++
		if found := find(r.reply.Body); len(found) > 0 {
			c.Fail("it has %v in it: %s", found, r.describe())
		}
	}
}

// expectedCodes are those of errors that a user who does nothing wrong may get here.
var expectedCodes = []string{"invalid_code", "invalid_token", "undecryptable", "wechat_unavailable", "storage_unavailable"}

// violation returns how a response breaks the contract, or "".
func (r request) violation() string {
	b, v := r.reply.Read(r.route)
	switch {
	case v.Wrong != "":
		return v.Why
	case r.reply.Failure == "" && v.Code != "" && !slices.Contains(expectedCodes, v.Code):
		return "an unexpected " + v.Code
	case v.OK() && r.route == player.Update && (b.Anonymous || b.UserInfo.NickName == ""):
		return "the profile is not what was sent"
	}
	return ""
}

func checkContract(res *results, c *report.Check) {
	for _, r := range res.requests {
		if r.reply.Status == 0 {
			continue
		}
		c.Count++
		if v := r.violation(); v != "" {
			c.Fail("%s: %s", v, r.describe())
		}
	}
}

// checkTokens: a token outlives every fault except the loss of Redis, and a lost one is refused as such.
func checkTokens(res *results, c *report.Check) {
	back := map[int]int{} // successes of long-lived sessions, by fault
	for _, r := range res.requests {
		if r.route != player.Update || r.reply.Status == 0 {
			continue
		}
		c.Count++
		may, must := res.sessionLost(r)
		unauthorized := r.reply.Status == 401
		switch {
		case unauthorized && !may:
			c.Fail("refused: %s", r.describe())
		case !unauthorized && must && !r.failed():
			c.Fail("Redis has lost it: %s", r.describe())
		case r.longLived && !r.ok() && !unauthorized:
			c.Fail("it does not work: %s", r.describe())
		case r.longLived && r.ok():
			back[res.injectedAt(r.sent)]++
		}
	}
	for i, one := range res.injected {
		if !one.losesSessions && back[i] == 0 {
			c.Fail("no token was tried after %s", one.name)
		}
	}
}

// sessionLost reports whether the session of an update may have been lost with Redis, and whether it must have been.
func (res *results) sessionLost(r request) (may, must bool) {
	for _, one := range res.injected {
		if one.losesSessions {
			may = may || r.session.sent < one.returned && r.ended > one.began
			must = must || r.session.ended < one.began && r.sent > one.returned
		}
	}
	return may, must
}

func checkBounds(res *results, c *report.Check) {
	c.Count = len(res.injected)
	for _, one := range res.injected {
		if s := res.summarize(one); s.slowestTook > one.bound {
			c.Fail("%s, bound %s: %s", one.name, report.Seconds(one.bound), s.slowest.describe())
		}
	}
}

func checkRecovery(res *results, c *report.Check) {
	c.Count = len(res.injected)
	for _, one := range res.injected {
		if s := res.summarize(one); s.recovery > recoveryBound {
			c.Fail("%s, %s after the return: %s", one.name, report.Seconds(s.recovery), s.last.describe())
		}
	}
}

func checkIdle(res *results, c *report.Check) {
	for _, r := range res.requests {
		if res.injectedAt(r.ended) >= 0 {
			continue
		}
		c.Count++
		if r.failed() {
			c.Fail("%s", r.describe())
		}
	}
}

// checkOrderlyStop: a request on a connection that had been idle may have crossed its end on the way, so a lost one had been
// accepted only if the server logged it, or if the connection was new.
func checkOrderlyStop(res *results, c *report.Check) {
	for _, one := range res.injected {
		if !one.orderly {
			continue
		}
		if one.stopErr != nil {
			c.Fail("%v", one.stopErr)
		}
		if n := res.inFlight(one); n < minInFlight {
			c.Fail("only %d requests were in flight when the port was closed", n)
		}
		for _, r := range res.requests {
			if !r.overlaps(one.began, one.returned) {
				continue
			}
			c.Count++
			logged := bytes.Contains(res.logs[r.server], []byte(`"requestId":"`+r.reply.ID+`"`))
			if r.reply.Status >= 500 || r.cut() || r.connectionLost() && (logged || !r.reply.Reused) {
				c.Fail("%s", r.describe())
			}
		}
	}
}

// inFlight counts the requests that succeeded at a server while it already refused others.
func (res *results) inFlight(one injected) (n int) {
	var first *request // that was refused
	for i, r := range res.requests {
		if r.refused() && r.overlaps(one.began, one.returned) && (first == nil || r.sent < first.sent) {
			first = &res.requests[i]
		}
	}
	for _, r := range res.requests {
		if first != nil && r.server == first.server && r.ok() && r.sent < first.sent && r.ended > first.sent {
			n++
		}
	}
	return n
}

func checkEffect(res *results, c *report.Check) {
	c.Count = len(res.injected)
	for _, one := range res.injected {
		s := res.summarize(one)
		if n := s.count200 + s.count4xx + s.count5xx + s.none; n < minDuring {
			c.Fail("%s: only %d requests", one.name, n)
		}
		if s.count5xx+s.none == 0 && s.slowestTook < one.length/2 {
			c.Fail("%s: no request was affected", one.name)
		}
		after := map[string]int{}
		for _, r := range res.requests {
			if r.ok() && r.sent > one.returned && r.ended <= one.over {
				after[r.server+" "+r.route.String()]++
			}
		}
		for _, server := range slices.Sorted(maps.Keys(res.logs)) {
			for _, route := range []player.Route{player.Login, player.Update} {
				if n := after[server+" "+route.String()]; n < minAfter {
					c.Fail("%s: after it only %d successes of %s on %s", one.name, n, server, route)
				}
			}
		}
	}
}

func checkLogs(res *results, c *report.Check) {
	find := res.finder(secretToken, secretCode, secretKey, secretApp, secretPassword, secretOpenID)
	for _, server := range slices.Sorted(maps.Keys(res.logs)) {
		log := res.logs[server]
		lines := bytes.Count(log, []byte("\n"))
		c.Count += lines
		if lines == 0 {
			c.Fail("%s has logged nothing", server)
		}
		for _, kind := range find(log) {
			c.Fail("%s has logged a %s", server, kind)
		}
		if n := bytes.Count(bytes.ToLower(log), []byte("panic")); n > 0 {
			c.Fail("%s: %d times \"panic\"", server, n)
		}
	}
}
