package main

import (
	"fmt"
	"time"
)

// evidence is all that the checks look at.
type evidence struct {
	entries  []entry
	results  []result
	stalls   []span            // of the machine
	people   map[string]string // openid by user
	secrets  map[string]secretKind
	database database
	logs     map[string][]byte // by server
}

// verdict is one claim, and what speaks against it.
type verdict struct {
	claim  string
	count  int // how many were looked at
	faults []string
}

func (v *verdict) fault(format string, args ...any) {
	v.faults = append(v.faults, fmt.Sprintf(format, args...))
}

// checks are all claims, in the order in which they are printed.
var checks = []func(evidence) verdict{
	checkLogins, checkUpdates, checkReading, checkRows, checkNewUsers,
	checkOthersData, checkAnswersForSecrets, checkContract, checkTokens,
	checkBounds, checkRecovery, checkCalm, checkOrderlyStop, checkEffect, checkLogs,
}

// about tells of a request what may be shown.
func about(e entry) string {
	text := fmt.Sprintf("%s of %s to %s, sent at %s, took %s",
		e.route, e.user, e.server, seconds(e.sent), seconds(e.ended-e.sent))
	switch {
	case e.answer.status == 0:
		return text + fmt.Sprintf(", no answer (%s)", e.answer.outcome)
	case e.ok():
		return text + ", 200"
	}
	return text + fmt.Sprintf(", %d %s", e.answer.status, e.problem().Code)
}

func (o outcome) String() string {
	switch o {
	case refused:
		return "no connection"
	case unheard:
		return "connection lost"
	case cutAnswer:
		return "answer cut"
	}
	return "answered"
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f s", d.Seconds()) }

// checkLogins: nobody who was let in is missing.
func checkLogins(ev evidence) verdict {
	v := verdict{claim: "every 200 of /onLogin has its user in MySQL"}
	rows := ev.database.byOpenID()
	for _, e := range ev.entries {
		if e.route != onLogin || !e.ok() {
			continue
		}
		v.count++
		if row, found := rows[ev.people[e.user]]; !found || row.orphan {
			v.fault("no row: %s", about(e))
		}
	}
	return v
}

// checkRows: one row for each who logged in, no two, none torn apart.
func checkRows(ev evidence) verdict {
	v := verdict{claim: "MySQL holds exactly those users who logged in, each once", count: ev.database.users}
	owners := map[string]string{}
	for user, openID := range ev.people {
		owners[openID] = user
	}
	in := map[string]bool{}
	for _, e := range ev.entries {
		if e.route == onLogin && e.ok() {
			in[e.user] = true
		}
	}
	identities, ids := map[string]bool{}, map[int64]bool{}
	for _, i := range ev.database.identities {
		user := owners[i.openID]
		switch {
		case i.orphan:
			v.fault("the identity of %q has no user", user)
		case identities[i.openID] || ids[i.userID]:
			v.fault("%q shares an identity or a user", user)
		case !in[user]:
			v.fault("%q is there and was never let in", user)
		}
		identities[i.openID], ids[i.userID] = true, true
	}
	if ev.database.lonely != 0 {
		v.fault("%d users without identity", ev.database.lonely)
	}
	if ev.database.users != len(in) {
		v.fault("%d users, but %d logged in", ev.database.users, len(in))
	}
	return v
}

// checkNewUsers: being new is told once.
func checkNewUsers(ev evidence) verdict {
	v := verdict{claim: "isNewUser was true at most once for each user"}
	times := map[string]int{}
	for _, e := range ev.entries {
		if e.route != onLogin || !e.ok() || !e.login().IsNewUser {
			continue
		}
		v.count++
		if times[e.user]++; times[e.user] > 1 {
			v.fault("once more: %s", about(e))
		}
	}
	return v
}

// checkContract: every answer is one of the README's.
func checkContract(ev evidence) verdict {
	v := verdict{claim: "every answer keeps the contract, and none is 500"}
	for _, e := range ev.entries {
		if e.answer.status == 0 {
			continue
		}
		v.count++
		if fault := contractFault(e); fault != "" {
			v.fault("%s: %s", fault, about(e))
		}
	}
	return v
}
