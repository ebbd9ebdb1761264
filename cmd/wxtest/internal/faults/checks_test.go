package faults

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"wxlogin/cmd/wxtest/internal/player"
	"wxlogin/cmd/wxtest/internal/report"
)

const second = time.Second

// at sets a request's time, in seconds.
func at(r request, sent, ended float64) request {
	r.span = span{time.Duration(sent * float64(second)), time.Duration(ended * float64(second))}
	return r
}

// from sets the second of the login that returned an update's token, and the second in which its data was sealed.
func from(r request, login int, sealed int64) request {
	r.session = span{time.Duration(login) * second, time.Duration(login) * second}
	r.watermark = player.Watermark{From: sealed, To: sealed}
	return r
}

// silent is a request without a response.
func silent(r request, failure string) request {
	r.reply = player.Reply{ID: "r", Failure: failure}
	return r
}

// sound are results against which there is nothing to say: two users, a paused MySQL from second 10 to 14, a Redis that came
// back empty from 20 to 21, and an orderly stop of server A from 30 to 31. The first ten requests are their story. A third user
// deletes the account and comes back.
func sound(t *testing.T) results {
	t.Helper()
	shown := player.Nickname("u01-1", 3)
	longLived := func(r request) request { r.longLived = true; return r }
	res := results{
		injected: soundFaults(),
		openIDs: map[string]string{
			"u01-1": "openid-of-u01-1", "u02-1": "openid-of-u02-1", "u03-1": "openid-of-u03-1", "u03-1+": "openid-of-u03-1",
		},
		erased: map[string]bool{"u03-1": true},
		secrets: map[string]secret{
			"openid-of-u01-1": secretOpenID, "key-of-u01-1": secretKey, "code-of-u01-1": secretCode, "token-of-u01-1": secretToken,
		},
		database: database{users: 3, erased: erasedUsers{users: 1, records: 1}, identities: []identity{
			{openID: "openid-of-u01-1", userID: 1, nickname: shown}, {openID: "openid-of-u02-1", userID: 2},
			{openID: "openid-of-u03-1", userID: 4},
		}},
		logs: map[string][]byte{"A": []byte("{}\n"), "B": []byte("{}\n")},
		requests: []request{
			at(newUser(t, "u01-1"), 1, 1.1), at(newUser(t, "u02-1"), 1, 1.1),
			from(at(update200(t, "u01-1", 1), 2, 2.1), 1, 2),
			from(at(refusal(t, update200(t, "u01-1", 2), "storage_unavailable"), 11, 12), 1, 11),
			from(at(longLived(update200(t, "u01-1", 3)), 16, 16.1), 1, 16),
			at(login200(t, "u01-1", shown), 17, 17.1),
			from(at(refusal(t, update200(t, "u01-1", 4), "invalid_token"), 22, 22.1), 17, 22),
			at(silent(login200(t, "u01-1", ""), player.Refused), 30.5, 30.6),
			at(login200(t, "u01-1", shown), 32, 32.1),
			from(at(longLived(update200(t, "u01-1", 3)), 33, 33.1), 32, 33),
		},
	}
	res.requests = append(res.requests, at(newUser(t, "u03-1"), 2, 2.1), at(newUser(t, "u03-1+"), 3, 3.1))
	for _, r := range res.injected {
		res.requests = append(res.requests, underLoad(t, r)...)
	}
	for range minInFlight {
		res.requests = append(res.requests, at(login200(t, "u01-1", shown), 29.9, 30.3))
	}
	return res
}

func soundFaults() []injected {
	r := func(began, returned, over time.Duration, s scenario) injected {
		s.bound = 2 * second
		return injected{scenario: s, began: began * second, returned: returned * second, over: over * second}
	}
	return []injected{
		r(10, 14, 20, scenario{name: "mysql", length: 4 * second}),
		r(20, 21, 30, scenario{name: "redis", losesSessions: true}),
		r(30, 31, 40, scenario{name: "stop", orderly: true}),
	}
}

// underLoad is the least that must be seen of a fault: failures while it lasts, and both servers at work after it.
func underLoad(t *testing.T, one injected) (requests []request) {
	began, late := one.began.Seconds(), one.returned.Seconds()+3
	for range minDuring {
		requests = append(requests, at(silent(login200(t, "u02-1", ""), player.Refused), began+.1, began+.2))
	}
	for range minAfter {
		for _, server := range []string{"A", "B"} {
			login := at(login200(t, "u01-1", player.Nickname("u01-1", 3)), late, late+.1)
			again := from(at(update200(t, "u01-1", 3), late, late+.1), int(late), 16)
			login.server, again.server = server, server
			requests = append(requests, login, again)
		}
	}
	return requests
}

func newUser(t *testing.T, user string) request {
	e := login200(t, user, "")
	e.reply.Body = bytes.Replace(e.reply.Body, []byte(`"isNewUser":false`), []byte(`"isNewUser":true`), 1)
	return e
}

func TestClaims_hold_for_sound_results(t *testing.T) {
	res := sound(t)
	for _, c := range claims {
		if check := c.on(&res); len(check.Failures) != 0 || check.Count == 0 {
			t.Errorf("%s (%d): %v", check.Claim, check.Count, check.Failures)
		}
	}
}

// A violation is something wrong, and the check that must find it. Everything that a check looks for is here, so that no check
// is unable to fail.
type violation struct {
	check func(*results, *report.Check)
	spoil func(t *testing.T, res *results)
}

func mustFind(t *testing.T, violations map[string]violation) {
	for name, v := range violations {
		t.Run(name, func(t *testing.T) {
			res := sound(t)
			v.spoil(t, &res)
			found := claim{"", v.check}.on(&res)
			if len(found.Failures) == 0 {
				t.Error("not found")
			}
			for _, failure := range found.Failures {
				for value, kind := range res.secrets {
					if strings.Contains(failure, value) {
						t.Errorf("the message shows a %s", kind)
					}
				}
			}
		})
	}
}

// spoilRequest changes request i of the story.
func spoilRequest(i int, change func(e *request)) func(*testing.T, *results) {
	return func(_ *testing.T, res *results) { change(&res.requests[i]) }
}

// refuseWith makes request i of the story an error answer.
func refuseWith(i int, code string) func(*testing.T, *results) {
	return func(t *testing.T, res *results) { res.requests[i] = refusal(t, res.requests[i], code) }
}

// show makes the login at second 17 show a nickname.
func show(nickname string) func(*testing.T, *results) {
	return func(t *testing.T, res *results) { res.requests[5] = at(login200(t, "u01-1", nickname), 17, 17.1) }
}

// spoilRow changes the identity of a user.
func spoilRow(i int, change func(i *identity)) func(*testing.T, *results) {
	return func(_ *testing.T, res *results) { change(&res.database.identities[i]) }
}

// store makes MySQL hold a nickname for the first user.
func store(nickname string) func(*testing.T, *results) {
	return spoilRow(0, func(i *identity) { i.nickname = nickname })
}

// leak puts a secret into an answer, logged into a log.
func leak(secret string) func(*testing.T, *results) {
	return spoilRequest(3, func(e *request) { e.reply.Body = append(e.reply.Body, secret...) })
}

func logged(text string) func(*testing.T, *results) {
	return func(_ *testing.T, res *results) { res.logs["B"] = append(res.logs["B"], text...) }
}

func TestClaims_find_what_is_wrong_in_MySQL(t *testing.T) {
	noRow := func(_ *testing.T, res *results) { res.database.identities = res.database.identities[1:] }
	lonely := func(_ *testing.T, res *results) { res.database.lonely = 1 }
	tooMany := func(_ *testing.T, res *results) { res.database.users = 4 }
	erased := func(change func(*erasedUsers)) func(*testing.T, *results) {
		return func(_ *testing.T, res *results) { change(&res.database.erased) }
	}
	mustFind(t, map[string]violation{
		"a_login_without_a_row":          {checkLogins, noRow},
		"a_login_without_a_user":         {checkLogins, spoilRow(0, func(i *identity) { i.orphan = true })},
		"an_update_that_is_gone":         {checkUpdates, store(player.Nickname("u01-1", 1))},
		"all_updates_gone":               {checkUpdates, store("")},
		"an_update_of_another_user":      {checkUpdates, store(player.Nickname("u02-1", 9))},
		"an_older_one_beyond_its_second": {checkUpdates, store(player.Nickname("u01-1", 2))},
		"an_identity_without_user":       {checkRows, spoilRow(1, func(i *identity) { i.orphan = true })},
		"one_user_for_two":               {checkRows, spoilRow(1, func(i *identity) { i.userID = 1 })},
		"an_openid_twice":                {checkRows, spoilRow(1, func(i *identity) { i.openID = "openid-of-u01-1" })},
		"a_stranger":                     {checkRows, spoilRow(1, func(i *identity) { i.openID = "a stranger's" })},
		"a_user_without_identity":        {checkRows, lonely},
		"one_user_too_many":              {checkRows, tooMany},
		"an_erased_user":                 {checkErased, spoilRow(2, func(i *identity) { i.nickname = player.Nickname("u03-1", 1) })},
		"an_erase_without_a_tombstone":   {checkErased, erased(func(e *erasedUsers) { e.users = 0 })},
		"one_erased_too_many":            {checkErased, erased(func(e *erasedUsers) { e.users, e.records = 2, 2 })},
		"half_an_erase":                  {checkErased, erased(func(e *erasedUsers) { e.filled = 1 })},
		"an_erase_without_a_record":      {checkErased, erased(func(e *erasedUsers) { e.records = 0 })},
		"an_erase_twice":                 {checkErased, erased(func(e *erasedUsers) { e.twice = 1 })},
		"sessions_of_an_erased_user":     {checkErased, erased(func(e *erasedUsers) { e.pending = 1 })},
		"a_picture_of_an_erased_user": {checkErased, func(t *testing.T, res *results) {
			login := newUser(t, "u03-1")
			login.reply.Body = bytes.Replace(login.reply.Body, []byte(`"avatarUrl":""`), []byte(`"avatarUrl":"http://127.0.0.1/avatars/a.png"`), 1)
			res.requests, res.pictures = append(res.requests, at(login, 4, 4.1)), map[string]bool{"a.png": true}
		}},
		"no_erase": {checkErased, func(_ *testing.T, res *results) { res.erased = nil }},
	})
}

func TestClaims_find_what_is_wrong_in_answers(t *testing.T) {
	twice := func(_ *testing.T, res *results) { res.requests[1] = res.requests[0] }
	mustFind(t, map[string]violation{
		"old_data":          {checkReading, show(player.Nickname("u01-1", 1))},
		"no_data":           {checkReading, show("")},
		"a_user_new_twice":  {checkNewUsers, twice},
		"anothers_data":     {checkOthersData, show(player.Nickname("u02-1", 3))},
		"a_name_of_no_user": {checkOthersData, show("Alice")},
		"an_openid":         {checkResponsesForSecrets, leak("openid-of-u01-1")},
		"a_session_key":     {checkResponsesForSecrets, leak("key-of-u01-1")},
		"a_code":            {checkResponsesForSecrets, leak("code-of-u01-1")},
		"no_retry_after":    {checkContract, spoilRequest(3, func(e *request) { e.reply.RetryAfter = "" })},
		"a_500":             {checkContract, refuseWith(3, "internal")},
	})
}

func TestClaims_find_what_is_wrong_with_tokens(t *testing.T) {
	stillGood := func(t *testing.T, res *results) {
		res.requests[6] = from(at(update200(t, "u01-1", 4), 22, 22.1), 17, 22)
	}
	mustFind(t, map[string]violation{
		"one_lost_with_mysql":                  {checkTokens, refuseWith(4, "invalid_token")},
		"one_that_fails_otherwise":             {checkTokens, refuseWith(4, "undecryptable")},
		"one_that_redis_has_lost":              {checkTokens, stillGood},
		"a_lost_one_refused_as_something_else": {checkTokens, refuseWith(6, "undecryptable")},
		"none_tried":                           {checkTokens, spoilRequest(4, func(e *request) { e.longLived = false })},
	})
}

func TestClaims_find_what_is_wrong_with_faults(t *testing.T) {
	slow := func(e *request) { e.ended = e.sent + 2*second + 1 }
	stopFails := func(_ *testing.T, res *results) { res.injected[2].stopErr = errors.New("exit code 1") }
	accepted := func(_ *testing.T, res *results) {
		res.requests[7].reply.Failure, res.requests[7].reply.Reused = player.Cut, true
		res.logs["A"] = []byte(`{"msg":"request","requestId":"r"}` + "\n")
	}
	withoutLoad := func(_ *testing.T, res *results) { res.requests = res.requests[:len(res.requests)-1] }
	unfelt := func(_ *testing.T, res *results) { res.requests = slices.DeleteFunc(res.requests, request.failed) }
	unloaded := func(_ *testing.T, res *results) { res.requests = res.requests[:10] }
	third := func(_ *testing.T, res *results) { res.logs["C"] = []byte("{}\n") }
	mustFind(t, map[string]violation{
		"a_slow_answer":                    {checkBounds, spoilRequest(3, slow)},
		"a_slow_recovery":                  {checkRecovery, spoilRequest(3, func(e *request) { *e = at(*e, 16.5, 16.6) })},
		"a_recovery_that_never_comes":      {checkRecovery, spoilRequest(7, func(e *request) { *e = at(*e, 39, 39.1) })},
		"a_failure_before_the_first_fault": {checkIdle, spoilRequest(1, func(e *request) { *e = silent(*e, player.Cut) })},
		"a_stop_that_fails":                {checkOrderlyStop, stopFails},
		"an_answer_cut_by_a_stop":          {checkOrderlyStop, spoilRequest(7, func(e *request) { e.reply.Failure, e.reply.Begun = player.Cut, true })},
		"a_fresh_connection_cut":           {checkOrderlyStop, spoilRequest(7, func(e *request) { e.reply.Failure = player.Cut })},
		"a_stop_without_load":              {checkOrderlyStop, withoutLoad},
		"a_503_by_a_stop":                  {checkOrderlyStop, refuseWith(7, "storage_unavailable")},
		"an_accepted_request_cut":          {checkOrderlyStop, accepted},
		"a_fault_without_effect":           {checkEffect, unfelt},
		"a_fault_without_load":             {checkEffect, unloaded},
		"a_server_without_load":            {checkEffect, third},
	})
}

func TestClaims_find_what_is_wrong_in_logs(t *testing.T) {
	empty := func(_ *testing.T, res *results) { res.logs["B"] = nil }
	mustFind(t, map[string]violation{
		"a_token":       {checkLogs, logged("token=token-of-u01-1\n")},
		"a_code":        {checkLogs, logged("code-of-u01-1\n")},
		"a_session_key": {checkLogs, logged("x key-of-u01-1 x\n")},
		"a_panic":       {checkLogs, logged("Panic: nil\n")},
		"nothing":       {checkLogs, empty},
	})
}

func TestClaims_forgive(t *testing.T) {
	tests := map[string]struct {
		check func(*results, *report.Check)
		with  func(*results)
	}{
		"a_wait_while_the_machine_paused": {checkBounds, func(res *results) {
			res.requests[3].ended = res.requests[3].sent + 3*second
			res.pauses = []span{{5 * second, 6 * second}, {12 * second, 13*second + second/2}}
		}},
		"a_recovery_while_the_machine_paused": {checkRecovery, func(res *results) {
			res.requests[3] = at(res.requests[3], 17, 17.5)
			res.pauses = []span{{15 * second, 17 * second}}
		}},
		"a_late_attempt_in_the_same_second": {checkUpdates, func(res *results) {
			for i := range res.requests {
				res.requests[i].watermark = player.Watermark{From: 16, To: 16}
			}
			res.database.identities[0].nickname = player.Nickname("u01-1", 2) // refused with 503 and done nevertheless
		}},
		"a_newer_one_with_an_unknown_outcome": {checkUpdates, func(res *results) {
			res.database.identities[0].nickname = player.Nickname("u01-1", 4)
		}},
		"a_request_that_the_stopped_server_never_saw": {checkOrderlyStop, func(res *results) {
			res.requests[7].reply.Failure, res.requests[7].reply.Reused = player.Cut, true
		}},
		"a_user_whose_login_failed": {checkLogins, func(res *results) {
			res.requests = append(res.requests, refusal(t, request{route: player.Login, user: "u03-1"}, "storage_unavailable"))
		}},
		"a_session_made_while_redis_came_back": {checkTokens, func(res *results) {
			res.requests[6] = from(refusal(t, res.requests[6], "undecryptable"), 20, 22)
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			res := sound(t)
			test.with(&res)
			if check := (claim{"", test.check}).on(&res); len(check.Failures) != 0 {
				t.Error(check.Failures)
			}
		})
	}
}

// login200 is a login that keeps the contract.
func login200(t *testing.T, user, nickname string) request {
	t.Helper()
	return success(t, request{route: player.Login, server: "A", user: user}, nickname, map[string]any{
		"token": strings.Repeat("t", player.TokenLength), "expiresIn": 1, "isNewUser": false,
	})
}

// update200 is an update that keeps the contract.
func update200(t *testing.T, user string, revision int) request {
	t.Helper()
	r := request{route: player.Update, server: "A", user: user, revision: revision}
	return success(t, r, player.Nickname(user, revision), map[string]any{"anonymous": false})
}

func success(t *testing.T, r request, nickname string, body map[string]any) request {
	body["status"], body["profileComplete"], body["phoneNumber"], body["userInfo"] = 200, false, "", player.Profile{NickName: nickname}
	r.reply = player.Reply{ID: "r", Response: player.Response{
		Status: 200, ContentType: "application/json; charset=utf-8", RequestID: "r", Body: encode(t, body),
	}}
	return r
}

// refusal is an error that keeps the contract.
func refusal(t *testing.T, r request, code string) request {
	t.Helper()
	p, listed := player.Problems[code]
	if !listed {
		t.Fatalf("%s is not listed", code)
	}
	r.reply = player.Reply{ID: "r", Response: player.Response{
		Status: p.Status, ContentType: "application/problem+json; charset=utf-8", RequestID: "r", Body: encode(t, player.Problem{
			Type: "t", Title: "t", Status: p.Status, Detail: "d", Code: code, Action: p.Action, RequestID: "r",
		}),
	}}
	if p.Action == player.Retry {
		r.reply.RetryAfter = "2"
	}
	if p.Status == 401 {
		r.reply.Challenge = "Bearer"
	}
	return r
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRequest_violation(t *testing.T) {
	for _, e := range []request{login200(t, "u", ""), update200(t, "u", 1), silent(request{}, player.Refused)} {
		if v := e.violation(); v != "" {
			t.Error(v)
		}
	}
	for code := range player.Problems {
		if v := refusal(t, request{}, code).violation(); (v == "") != slices.Contains(expectedCodes, code) {
			t.Errorf("%s: %q", code, v)
		}
	}
}

// Package player's tests have all ways in which a response can break the contract.
func TestRequest_violation_finds(t *testing.T) {
	edit := func(e request, old, with string) request {
		e.reply.Body = []byte(strings.Replace(string(e.reply.Body), old, with, 1))
		return e
	}
	update, refused := update200(t, "u", 1), refusal(t, request{}, "storage_unavailable")
	refused.reply.RetryAfter = ""
	tests := map[string]request{
		"no_retry_after":           refused,
		"a_status_without_problem": {reply: player.Reply{ID: "r", Response: player.Response{Status: 500, RequestID: "r"}}},
		"200_with_one_field_more":  edit(login200(t, "u", ""), `{`, `{"openid":"x",`),
		"update_without_a_name":    edit(update, player.Nickname("u", 1), ""),
		"update_called_anonymous":  edit(update, `"anonymous":false`, `"anonymous":true`),
		"update_one_field_more":    edit(update, `{`, `{"unionid":"x",`),
	}
	for name, e := range tests {
		t.Run(name, func(t *testing.T) {
			if e.violation() == "" {
				t.Error("it is let through")
			}
		})
	}
}
