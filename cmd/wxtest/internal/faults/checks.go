package faults

import (
	"bytes"
	"maps"
	"slices"

	"wxlogin/cmd/wxtest/internal/player"
	"wxlogin/cmd/wxtest/internal/report"
)

func checkResponsesForSecrets(res *results, c *report.Check) {
	find := res.finder(secretOpenID, secretKey, secretCode, secretApp, secretPassword)
	for r := range res.those(request.answered, c) {
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
	case r.route == player.Upload && v.Code == "rate_limited": // all share one address, which has few slots
	case r.reply.Failure == "" && v.Code != "" && !slices.Contains(expectedCodes, v.Code):
		return "an unexpected " + v.Code
	case v.OK() && r.route == player.Update && (b.Anonymous || b.UserInfo.NickName == ""):
		return "the profile is not what was sent"
	}
	return ""
}

func checkContract(res *results, c *report.Check) {
	for r := range res.those(request.answered, c) {
		if v := r.violation(); v != "" {
			c.Fail("%s: %s", v, r.describe())
		}
	}
}

// checkTokens: a token outlives every fault except the loss of Redis, and a lost one is refused as such.
func checkTokens(res *results, c *report.Check) {
	back := map[int]int{} // successes of long-lived sessions, by fault
	for r := range res.those(func(r request) bool { return r.answered() && r.route == player.Update }, c) {
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
	for r := range res.those(func(r request) bool { return res.injectedAt(r.ended) < 0 }, c) {
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
		for r := range res.those(one.meets, c) {
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
		if r.refused() && one.meets(r) && (first == nil || r.sent < first.sent) {
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
