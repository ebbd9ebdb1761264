package main

import (
	"bytes"
	"time"
)

// during reports whether a request was under way at some time of a span.
func (e entry) during(from, to time.Duration) bool { return e.ended >= from && e.sent <= to }

// checkTokens: a token outlives every fault but the loss of Redis, and what was lost is told as that.
func checkTokens(ev evidence) verdict {
	v := verdict{claim: "tokens worked after each fault, but for those that Redis lost: 401 relogin"}
	back := map[int]int{} // answers 200 of keepers, by result
	for _, e := range ev.entries {
		if e.route != updateUserInfo || e.answer.status == 0 {
			continue
		}
		v.count++
		may, must := ev.sessionLost(e)
		unauthorized := e.answer.status == 401
		switch {
		case unauthorized && !may:
			v.fault("refused: %s", about(e))
		case !unauthorized && must && !e.due():
			v.fault("Redis has lost it: %s", about(e))
		case e.keeper && !e.ok() && !unauthorized:
			v.fault("it does not work: %s", about(e))
		case e.keeper && e.ok():
			back[ev.resultAt(e.sent)]++
		}
	}
	for i, r := range ev.results {
		if !r.empties && back[i] == 0 {
			v.fault("no token was tried after %s", r.name)
		}
	}
	return v
}

// sessionLost says whether the session of an update may have been lost with Redis, and whether it must have been.
func (ev evidence) sessionLost(e entry) (may, must bool) {
	for _, r := range ev.results {
		if !r.empties {
			continue
		}
		may = may || e.session.sent < r.returned && e.ended > r.began
		must = must || e.session.ended < r.began && e.sent > r.returned
	}
	return may, must
}

// resultAt is the index of the result within whose time something was, -1 before the first fault.
func (ev evidence) resultAt(at time.Duration) int {
	for i := len(ev.results) - 1; i >= 0; i-- {
		if at >= ev.results[i].began {
			return i
		}
	}
	return -1
}

// summary is a row of the table.
type summary struct {
	result
	count200, count4xx, count5xx, none int
	slowest                            entry
	slowestTook                        time.Duration
	recovery                           time.Duration
	last                               entry // the last answer that was due to the fault
}

func (ev evidence) summarize(r result) summary {
	s := summary{result: r}
	for _, e := range ev.entries {
		if e.due() && e.ended > r.returned && e.ended <= r.over {
			if took := e.ended - r.returned - ev.stalled(r.returned, e.ended); took > s.recovery {
				s.recovery, s.last = took, e
			}
		}
		if !e.during(r.began, r.returned) {
			continue
		}
		if took := ev.took(e); took > s.slowestTook {
			s.slowest, s.slowestTook = e, took
		}
		switch {
		case e.ok():
			s.count200++
		case e.answer.status == 0:
			s.none++
		case e.answer.status < 500:
			s.count4xx++
		default:
			s.count5xx++
		}
	}
	return s
}

// checkBounds: nobody waits longer than promised.
func checkBounds(ev evidence) verdict {
	v := verdict{claim: "no answer took longer than its bound while a part was at fault", count: len(ev.results)}
	for _, r := range ev.results {
		if s := ev.summarize(r); s.slowestTook > r.bound {
			v.fault("%s, bound %s: %s", r.name, seconds(r.bound), about(s.slowest))
		}
	}
	return v
}

// checkRecovery: when the part is back, so are we.
func checkRecovery(ev evidence) verdict {
	v := verdict{claim: "all was well again within " + seconds(recoveryBound) + " of each return", count: len(ev.results)}
	for _, r := range ev.results {
		if s := ev.summarize(r); s.recovery > recoveryBound {
			v.fault("%s, %s after the return: %s", r.name, seconds(s.recovery), about(s.last))
		}
	}
	return v
}

// checkCalm: without a fault there is no failure.
func checkCalm(ev evidence) verdict {
	v := verdict{claim: "no request failed before the first fault"}
	for _, e := range ev.entries {
		if ev.resultAt(e.ended) >= 0 {
			continue
		}
		v.count++
		if e.due() {
			v.fault("%s", about(e))
		}
	}
	return v
}

// leastUnderWay is how many requests a server must have had when it closed its port, or nothing could have been cut.
const leastUnderWay = 3

// checkOrderlyStop: SIGTERM ends a server, and no request that it had accepted. What was not heard of on a connection that
// had been idle may have met its end on the way; it had been accepted if the server logged it.
func checkOrderlyStop(ev evidence) verdict {
	v := verdict{claim: "SIGTERM stopped the server in order, and cut no request that it had accepted"}
	for _, r := range ev.results {
		if !r.orderly {
			continue
		}
		if r.stopErr != nil {
			v.fault("%v", r.stopErr)
		}
		if n := ev.underWay(r); n < leastUnderWay {
			v.fault("only %d requests were under way when the port was closed", n)
		}
		for _, e := range ev.entries {
			if !e.during(r.began, r.returned) {
				continue
			}
			v.count++
			logged := bytes.Contains(ev.logs[e.server], []byte(`"requestId":"`+e.requestID+`"`))
			lost := e.answer.outcome == unheard && (logged || !e.answer.reused)
			if e.answer.status >= 500 || e.answer.outcome == cutAnswer || lost {
				v.fault("%s", about(e))
			}
		}
	}
	return v
}

// underWay counts the requests that succeeded at a server although it refused others in the meantime.
func (ev evidence) underWay(r result) (n int) {
	var first *entry // that was refused
	for i, e := range ev.entries {
		if e.answer.outcome == refused && e.during(r.began, r.returned) && (first == nil || e.sent < first.sent) {
			first = &ev.entries[i]
		}
	}
	for _, e := range ev.entries {
		if first != nil && e.server == first.server && e.ok() && e.sent < first.sent && e.ended > first.sent {
			n++
		}
	}
	return n
}

// Fewer than these, and a check would have seen nothing.
const (
	leastDuring = 20 // requests while a fault lasts
	leastAfter  = 10 // answers 200 of each server on each route between the return and the next fault
)

// checkEffect: every fault was felt, and after it both servers were at work on both routes.
func checkEffect(ev evidence) verdict {
	v := verdict{claim: "every fault was felt under load, and both servers worked on after it", count: len(ev.results)}
	for _, r := range ev.results {
		s := ev.summarize(r)
		if n := s.count200 + s.count4xx + s.count5xx + s.none; n < leastDuring {
			v.fault("%s: only %d requests", r.name, n)
		}
		if s.count5xx+s.none == 0 && s.slowestTook < r.length/2 {
			v.fault("%s: nobody noticed", r.name)
		}
		after := map[string]int{}
		for _, e := range ev.entries {
			if e.ok() && e.sent > r.returned && e.ended <= r.over {
				after[e.server+" "+string(e.route)]++
			}
		}
		for _, server := range sortedKeys(ev.logs) {
			for _, route := range []route{onLogin, updateUserInfo} {
				if n := after[server+" "+string(route)]; n < leastAfter {
					v.fault("%s: after it only %d answers 200 of %s on %s", r.name, n, server, route)
				}
			}
		}
	}
	return v
}

// checkLogs: the servers' logs tell no secret and of no panic.
func checkLogs(ev evidence) verdict {
	v := verdict{claim: "the servers' logs hold no secret and no panic (lines at level debug)"}
	f := newFinder(ev.secrets, secretToken, secretCode, secretKey, secretApp, secretPassword, secretOpenID)
	for _, server := range sortedKeys(ev.logs) {
		log := ev.logs[server]
		lines := bytes.Count(log, []byte("\n"))
		v.count += lines
		if lines == 0 {
			v.fault("server %s has logged nothing", server)
		}
		for _, kind := range f.find(log) {
			v.fault("server %s has logged a %s", server, kind)
		}
		if n := bytes.Count(bytes.ToLower(log), []byte("panic")); n > 0 {
			v.fault("server %s: %d times \"panic\"", server, n)
		}
	}
	return v
}
