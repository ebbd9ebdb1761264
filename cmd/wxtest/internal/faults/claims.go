package faults

import (
	"iter"
	"slices"
	"strings"
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
	{"every user who deleted the account is gone, and was erased once and as a whole", checkErased},
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

// those yields and counts the requests of a kind.
func (res *results) those(kind func(request) bool, c *report.Check) iter.Seq[request] {
	return func(yield func(request) bool) {
		for _, r := range res.requests {
			if kind(r) {
				c.Count++
				if !yield(r) {
					return
				}
			}
		}
	}
}

func loggedIn(r request) bool { return r.ok() && r.route == player.Login }

func checkLogins(res *results, c *report.Check) {
	rows := res.database.byOpenID()
	for r := range res.those(loggedIn, c) {
		if _, mayBeErased := res.erased[r.user]; mayBeErased {
			continue
		}
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
	for r := range res.those(func(r request) bool { return r.ok() && r.route == player.Update }, c) {
		if _, mayBeErased := res.erased[r.user]; mayBeErased {
			continue
		}
		user, shown, ok := player.ReadNickname(rows[res.openIDs[r.user]].nickname)
		if !ok || user != r.user || all[r.user].lost(shown, r.revision) {
			c.Fail("MySQL has revision %d of %q, not %d: %s", shown, user, r.revision, r.describe())
		}
	}
}

// checkReading looks at all responses to requests that were sent after an update was acknowledged.
func checkReading(res *results, c *report.Check) {
	all, byUser := res.updates(), map[string][]request{}
	showsProfile := func(r request) bool { return r.ok() && r.route != player.DeleteAccount }
	for r := range res.those(showsProfile, c) {
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
	owners, erased := res.owners()
	identities, ids, late := map[string]bool{}, map[int64]bool{}, 0
	in := res.loggedIn()
	var twins []identity
	for _, i := range res.database.identities {
		user := owners[i.openID]
		if strings.HasSuffix(user, twinSuffix) {
			twins = append(twins, i)
			continue
		}
		_, found := in[user]
		switch {
		case i.orphan:
			c.Fail("the identity of %q has no user", user)
		case identities[i.openID] || ids[i.userID]:
			c.Fail("%q shares an identity or a user", user)
		case user == "" && erased[i.openID]:
			late++ // a login whose answer did not come was done after the erase
		case !found:
			c.Fail("%q has a row and never logged in", user)
		}
		identities[i.openID], ids[i.userID] = true, true
	}
	if res.database.lonely != 0 {
		c.Fail("%d users without an identity", res.database.lonely)
	}
	want := late + res.present(identities)
	for _, twin := range twins {
		if !ids[twin.userID] {
			want++ // it was not merged
		}
	}
	if res.database.users != want {
		c.Fail("%d users, but %d logged in and are not erased", res.database.users, want)
	}
}

// present counts the users who have logged in and are not erased. Those who may be are counted if they have an identity.
func (res *results) present(identities map[string]bool) (n int) {
	for user, certain := range res.loggedIn() {
		if certain || identities[res.openIDs[user]] {
			n++
		}
	}
	return n
}

// owners returns the user of each openid, and the openids of erased users.
func (res *results) owners() (owners map[string]string, erased map[string]bool) {
	owners, erased = map[string]string{}, map[string]bool{}
	for user, openID := range res.openIDs {
		if res.erased[user] {
			erased[openID] = true
		} else {
			owners[openID] = user
		}
	}
	return owners, erased
}

// loggedIn returns the users who have logged in and are not erased; false for those who may be.
func (res *results) loggedIn() map[string]bool {
	in := map[string]bool{}
	for r := range res.those(loggedIn, &report.Check{}) {
		certainlyErased, maybeErased := res.erased[r.user]
		if !certainlyErased && !strings.HasSuffix(r.user, twinSuffix) {
			in[r.user] = !maybeErased
		}
	}
	return in
}

func checkNewUsers(res *results, c *report.Check) {
	times := map[string]int{}
	for r := range res.those(func(r request) bool { return loggedIn(r) && r.body().IsNewUser }, c) {
		if times[r.user]++; times[r.user] > 1 {
			c.Fail("once more: %s", r.describe())
		}
	}
}

func checkOthersData(res *results, c *report.Check) {
	for r := range res.those(request.ok, c) {
		name := r.body().UserInfo.NickName
		if user, _, ok := player.ReadNickname(name); !ok || name != "" && user != r.user {
			c.Fail("it shows %q: %s", name, r.describe())
		}
	}
}
