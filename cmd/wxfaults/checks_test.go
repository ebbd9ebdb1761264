package main

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

const second = time.Second

// at gives an entry its time, in seconds.
func at(e entry, sent, ended float64) entry {
	e.sent, e.ended = time.Duration(sent*float64(second)), time.Duration(ended*float64(second))
	return e
}

// from says at which second the login was that gave an update's token, and when its data was sealed.
func from(e entry, login int, sealed int64) entry {
	e.session = origin{time.Duration(login) * second, time.Duration(login) * second}
	e.sealed = seal{sealed, sealed}
	return e
}

// silent is an entry without answer.
func silent(e entry, o outcome) entry {
	e.answer = answer{outcome: o}
	return e
}

// sound is evidence that nothing can be said against: two users, a paused MySQL from second 10 to 14, a Redis that came
// back empty from 20 to 21, and an orderly stop of server A from 30 to 31. The first ten entries are its story.
func sound(t *testing.T) evidence {
	t.Helper()
	shown := nickname("u01-1", 3)
	keeper := func(e entry) entry { e.keeper = true; return e }
	ev := evidence{
		results: soundResults(),
		people:  map[string]string{"u01-1": "openid-of-u01-1", "u02-1": "openid-of-u02-1"},
		secrets: map[string]secretKind{
			"openid-of-u01-1": secretOpenID, "key-of-u01-1": secretKey, "code-of-u01-1": secretCode, "token-of-u01-1": secretToken,
		},
		database: database{users: 2, identities: []identity{
			{openID: "openid-of-u01-1", userID: 1, nickname: shown}, {openID: "openid-of-u02-1", userID: 2},
		}},
		logs: map[string][]byte{"A": []byte("{}\n"), "B": []byte("{}\n")},
		entries: []entry{
			at(newUser(t, "u01-1"), 1, 1.1), at(newUser(t, "u02-1"), 1, 1.1),
			from(at(updated200(t, "u01-1", 1), 2, 2.1), 1, 2),
			from(at(refusal(t, updated200(t, "u01-1", 2), "storage_unavailable"), 11, 12), 1, 11),
			from(at(keeper(updated200(t, "u01-1", 3)), 16, 16.1), 1, 16),
			at(answered200(t, "u01-1", shown), 17, 17.1),
			from(at(refusal(t, updated200(t, "u01-1", 4), "invalid_token"), 22, 22.1), 17, 22),
			at(silent(answered200(t, "u01-1", ""), refused), 30.5, 30.6),
			at(answered200(t, "u01-1", shown), 32, 32.1),
			from(at(keeper(updated200(t, "u01-1", 3)), 33, 33.1), 32, 33),
		},
	}
	for _, r := range ev.results {
		ev.entries = append(ev.entries, underLoad(t, r)...)
	}
	for range leastUnderWay {
		ev.entries = append(ev.entries, at(answered200(t, "u01-1", shown), 29.9, 30.3))
	}
	return ev
}

func soundResults() []result {
	r := func(began, returned, over time.Duration, s scenario) result {
		s.bound = 2 * second
		return result{scenario: s, began: began * second, returned: returned * second, over: over * second}
	}
	return []result{
		r(10, 14, 20, scenario{name: "mysql", length: 4 * second}),
		r(20, 21, 30, scenario{name: "redis", empties: true}),
		r(30, 31, 40, scenario{name: "stop", orderly: true}),
	}
}

// underLoad is the least that is to be seen of a fault: failures while it lasts, and both servers at work after it.
func underLoad(t *testing.T, r result) (entries []entry) {
	began, late := r.began.Seconds(), r.returned.Seconds()+3
	for range leastDuring {
		entries = append(entries, at(silent(answered200(t, "u02-1", ""), refused), began+.1, began+.2))
	}
	for range leastAfter {
		for _, server := range []string{"A", "B"} {
			login := at(answered200(t, "u01-1", nickname("u01-1", 3)), late, late+.1)
			again := from(at(updated200(t, "u01-1", 3), late, late+.1), int(late), 16)
			login.server, again.server = server, server
			entries = append(entries, login, again)
		}
	}
	return entries
}

func newUser(t *testing.T, user string) entry {
	e := answered200(t, user, "")
	e.answer.body = bytes.Replace(e.answer.body, []byte(`"isNewUser":false`), []byte(`"isNewUser":true`), 1)
	return e
}

func TestChecks_let_sound_evidence_pass(t *testing.T) {
	ev := sound(t)
	for _, check := range checks {
		if v := check(ev); len(v.faults) != 0 || v.count == 0 {
			t.Errorf("%s (%d): %v", v.claim, v.count, v.faults)
		}
	}
}

// A violation is something wrong, and the check that has to find it. Each kind of fault that a check looks for is here, so
// that none of the checks is unable to fail.
type violation struct {
	check func(evidence) verdict
	spoil func(t *testing.T, ev *evidence)
}

func mustFind(t *testing.T, violations map[string]violation) {
	for name, v := range violations {
		t.Run(name, func(t *testing.T) {
			ev := sound(t)
			v.spoil(t, &ev)
			found := v.check(ev)
			if len(found.faults) == 0 {
				t.Errorf("nothing said against %q", found.claim)
			}
			for _, fault := range found.faults {
				for value, kind := range ev.secrets {
					if strings.Contains(fault, value) {
						t.Errorf("the message shows a %s", kind)
					}
				}
			}
		})
	}
}

// spoilEntry changes entry i of the story.
func spoilEntry(i int, change func(e *entry)) func(*testing.T, *evidence) {
	return func(_ *testing.T, ev *evidence) { change(&ev.entries[i]) }
}

// refuseWith makes entry i of the story an error answer.
func refuseWith(i int, code string) func(*testing.T, *evidence) {
	return func(t *testing.T, ev *evidence) { ev.entries[i] = refusal(t, ev.entries[i], code) }
}

// show makes the login at second 17 show a nickname.
func show(nickname string) func(*testing.T, *evidence) {
	return func(t *testing.T, ev *evidence) { ev.entries[5] = at(answered200(t, "u01-1", nickname), 17, 17.1) }
}

// spoilRow changes the identity of a user.
func spoilRow(i int, change func(i *identity)) func(*testing.T, *evidence) {
	return func(_ *testing.T, ev *evidence) { change(&ev.database.identities[i]) }
}

// store makes MySQL hold a nickname for the first user.
func store(nickname string) func(*testing.T, *evidence) {
	return spoilRow(0, func(i *identity) { i.nickname = nickname })
}

// leak puts a secret into an answer, logged into a log.
func leak(secret string) func(*testing.T, *evidence) {
	return spoilEntry(3, func(e *entry) { e.answer.body = append(e.answer.body, secret...) })
}

func logged(text string) func(*testing.T, *evidence) {
	return func(_ *testing.T, ev *evidence) { ev.logs["B"] = append(ev.logs["B"], text...) }
}

func TestChecks_find_what_is_wrong_in_MySQL(t *testing.T) {
	noRow := func(_ *testing.T, ev *evidence) { ev.database.identities = ev.database.identities[1:] }
	lonely := func(_ *testing.T, ev *evidence) { ev.database.lonely = 1 }
	tooMany := func(_ *testing.T, ev *evidence) { ev.database.users = 3 }
	mustFind(t, map[string]violation{
		"a_login_without_a_row":          {checkLogins, noRow},
		"a_login_without_a_user":         {checkLogins, spoilRow(0, func(i *identity) { i.orphan = true })},
		"an_update_that_is_gone":         {checkUpdates, store(nickname("u01-1", 1))},
		"all_updates_gone":               {checkUpdates, store("")},
		"an_update_of_somebody_else":     {checkUpdates, store(nickname("u02-1", 9))},
		"an_older_one_beyond_its_second": {checkUpdates, store(nickname("u01-1", 2))},
		"an_identity_without_user":       {checkRows, spoilRow(1, func(i *identity) { i.orphan = true })},
		"one_user_for_two":               {checkRows, spoilRow(1, func(i *identity) { i.userID = 1 })},
		"an_openid_twice":                {checkRows, spoilRow(1, func(i *identity) { i.openID = "openid-of-u01-1" })},
		"a_stranger":                     {checkRows, spoilRow(1, func(i *identity) { i.openID = "somebody else's" })},
		"a_user_without_identity":        {checkRows, lonely},
		"one_user_too_many":              {checkRows, tooMany},
	})
}

func TestChecks_find_what_is_wrong_in_answers(t *testing.T) {
	twice := func(_ *testing.T, ev *evidence) { ev.entries[1] = ev.entries[0] }
	mustFind(t, map[string]violation{
		"old_data":         {checkReading, show(nickname("u01-1", 1))},
		"no_data":          {checkReading, show("")},
		"a_user_new_twice": {checkNewUsers, twice},
		"anothers_data":    {checkOthersData, show(nickname("u02-1", 3))},
		"a_name_of_nobody": {checkOthersData, show("Alice")},
		"an_openid":        {checkAnswersForSecrets, leak("openid-of-u01-1")},
		"a_session_key":    {checkAnswersForSecrets, leak("key-of-u01-1")},
		"a_code":           {checkAnswersForSecrets, leak("code-of-u01-1")},
		"no_retry_after":   {checkContract, spoilEntry(3, func(e *entry) { e.answer.retryAfter = "" })},
		"a_500":            {checkContract, refuseWith(3, "internal")},
	})
}

func TestChecks_find_what_is_wrong_with_tokens(t *testing.T) {
	stillGood := func(t *testing.T, ev *evidence) {
		ev.entries[6] = from(at(updated200(t, "u01-1", 4), 22, 22.1), 17, 22)
	}
	mustFind(t, map[string]violation{
		"one_lost_with_mysql":        {checkTokens, refuseWith(4, "invalid_token")},
		"one_that_fails_otherwise":   {checkTokens, refuseWith(4, "undecryptable")},
		"one_that_redis_has_lost":    {checkTokens, stillGood},
		"a_lost_one_told_as_another": {checkTokens, refuseWith(6, "undecryptable")},
		"none_tried":                 {checkTokens, spoilEntry(4, func(e *entry) { e.keeper = false })},
	})
}

func TestChecks_find_what_is_wrong_with_faults(t *testing.T) {
	slow := func(e *entry) { e.ended = e.sent + 2*second + 1 }
	stopFails := func(_ *testing.T, ev *evidence) { ev.results[2].stopErr = errors.New("exit code 1") }
	accepted := func(_ *testing.T, ev *evidence) {
		ev.entries[7].answer.outcome, ev.entries[7].answer.reused = unheard, true
		ev.logs["A"] = []byte(`{"msg":"request","requestId":"r"}` + "\n")
	}
	atRest := func(_ *testing.T, ev *evidence) { ev.entries = ev.entries[:len(ev.entries)-1] }
	unfelt := func(_ *testing.T, ev *evidence) { ev.entries = slices.DeleteFunc(ev.entries, entry.due) }
	unloaded := func(_ *testing.T, ev *evidence) { ev.entries = ev.entries[:10] }
	third := func(_ *testing.T, ev *evidence) { ev.logs["C"] = []byte("{}\n") }
	mustFind(t, map[string]violation{
		"a_slow_answer":               {checkBounds, spoilEntry(3, slow)},
		"a_slow_recovery":             {checkRecovery, spoilEntry(3, func(e *entry) { *e = at(*e, 16.5, 16.6) })},
		"a_recovery_that_never_comes": {checkRecovery, spoilEntry(7, func(e *entry) { *e = at(*e, 39, 39.1) })},
		"a_failure_in_calm":           {checkCalm, spoilEntry(1, func(e *entry) { *e = silent(*e, unheard) })},
		"a_stop_that_fails":           {checkOrderlyStop, stopFails},
		"an_answer_cut_by_a_stop":     {checkOrderlyStop, spoilEntry(7, func(e *entry) { e.answer.outcome = cutAnswer })},
		"a_fresh_connection_cut":      {checkOrderlyStop, spoilEntry(7, func(e *entry) { e.answer.outcome = unheard })},
		"a_stop_at_rest":              {checkOrderlyStop, atRest},
		"a_503_by_a_stop":             {checkOrderlyStop, refuseWith(7, "storage_unavailable")},
		"an_accepted_request_cut":     {checkOrderlyStop, accepted},
		"a_fault_that_nobody_felt":    {checkEffect, unfelt},
		"a_fault_without_load":        {checkEffect, unloaded},
		"a_server_at_rest":            {checkEffect, third},
	})
}

func TestChecks_find_what_is_wrong_in_logs(t *testing.T) {
	empty := func(_ *testing.T, ev *evidence) { ev.logs["B"] = nil }
	mustFind(t, map[string]violation{
		"a_token":       {checkLogs, logged("token=token-of-u01-1\n")},
		"a_code":        {checkLogs, logged("code-of-u01-1\n")},
		"a_session_key": {checkLogs, logged("x key-of-u01-1 x\n")},
		"a_panic":       {checkLogs, logged("Panic: nil\n")},
		"nothing":       {checkLogs, empty},
	})
}

func TestChecks_forgive(t *testing.T) {
	tests := map[string]struct {
		check func(evidence) verdict
		with  func(*evidence)
	}{
		"a_wait_while_the_machine_stood_still": {checkBounds, func(ev *evidence) {
			ev.entries[3].ended = ev.entries[3].sent + 3*second
			ev.stalls = []span{{5 * second, 6 * second}, {12 * second, 13*second + second/2}}
		}},
		"a_recovery_while_the_machine_stood_still": {checkRecovery, func(ev *evidence) {
			ev.entries[3] = at(ev.entries[3], 17, 17.5)
			ev.stalls = []span{{15 * second, 17 * second}}
		}},
		"a_late_attempt_in_the_same_second": {checkUpdates, func(ev *evidence) {
			for i := range ev.entries {
				ev.entries[i].sealed = seal{16, 16}
			}
			ev.database.identities[0].nickname = nickname("u01-1", 2) // refused with 503 and done nevertheless
		}},
		"a_newer_one_of_unknown_outcome": {checkUpdates, func(ev *evidence) {
			ev.database.identities[0].nickname = nickname("u01-1", 4)
		}},
		"a_request_that_the_stopped_server_never_saw": {checkOrderlyStop, func(ev *evidence) {
			ev.entries[7].answer.outcome, ev.entries[7].answer.reused = unheard, true
		}},
		"a_session_made_while_redis_came_back": {checkTokens, func(ev *evidence) {
			ev.entries[6] = from(refusal(t, ev.entries[6], "undecryptable"), 20, 22)
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			ev := sound(t)
			test.with(&ev)
			if v := test.check(ev); len(v.faults) != 0 {
				t.Error(v.faults)
			}
		})
	}
}
