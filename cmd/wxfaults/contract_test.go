package main

import (
	"encoding/json"
	"strings"
	"testing"

	"wxlogin/internal/contract"
)

// answered200 is a login that keeps the contract.
func answered200(t *testing.T, user, nickname string) entry {
	t.Helper()
	return entry{route: onLogin, server: "A", user: user, requestID: "r", answer: answer{
		status: 200, contentType: "application/json; charset=utf-8", requestID: "r",
		body: body(t, contract.Login{
			Status: 200, Token: strings.Repeat("t", contract.TokenLength), ExpiresIn: 1, UserInfo: contract.UserInfo{NickName: nickname},
		}),
	}}
}

// updated200 is an update that keeps the contract.
func updated200(t *testing.T, user string, revision int) entry {
	t.Helper()
	return entry{route: updateUserInfo, server: "A", user: user, requestID: "r", revision: revision, answer: answer{
		status: 200, contentType: "application/json; charset=utf-8", requestID: "r",
		body: body(t, contract.Update{Status: 200, UserInfo: contract.UserInfo{NickName: nickname(user, revision)}}),
	}}
}

// refusal is an error answer that keeps the contract.
func refusal(t *testing.T, e entry, code string) entry {
	t.Helper()
	p, listed := contract.Lookup(code)
	if !listed {
		t.Fatalf("%s is not listed", code)
	}
	e.requestID = "r"
	e.answer = answer{
		status: p.Status, contentType: "application/problem+json; charset=utf-8", requestID: "r",
		body: body(t, contract.Problem{
			Type: "t", Title: "t", Status: p.Status, Detail: "d", Code: code, Action: p.Action, RequestID: "r",
		}),
	}
	if p.Action == contract.Retry {
		e.answer.retryAfter = "2"
	}
	if p.Status == 401 {
		e.answer.challenge = "Bearer"
	}
	return e
}

func body(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestContractFault_takes_what_is_promised(t *testing.T) {
	for _, e := range []entry{answered200(t, "u", ""), updated200(t, "u", 1), {answer: answer{outcome: refused}}} {
		if fault := contractFault(e); fault != "" {
			t.Error(fault)
		}
	}
	for _, code := range contract.Codes() {
		if fault := contractFault(refusal(t, entry{}, code)); (fault == "") != met[code] {
			t.Errorf("%s: %q", code, fault)
		}
	}
}

func TestContractFault_finds(t *testing.T) {
	edit := func(e entry, old, with string) entry {
		e.answer.body = []byte(strings.Replace(string(e.answer.body), old, with, 1))
		return e
	}
	change := func(e entry, f func(*answer)) entry { f(&e.answer); return e }
	retry, relogin := refusal(t, entry{}, "storage_unavailable"), refusal(t, entry{}, "invalid_token")
	login := answered200(t, "u", "")
	tests := map[string]entry{
		"another_requests_answer":  change(retry, func(a *answer) { a.requestID = "other" }),
		"a_body_that_is_no_json":   change(retry, func(a *answer) { a.body = []byte("<html>") }),
		"an_unlisted_code":         edit(retry, "storage_unavailable", "tired"),
		"another_status":           change(retry, func(a *answer) { a.status = 500 }),
		"another_status_inside":    edit(retry, `"status":503`, `"status":500`),
		"another_action":           edit(retry, `"retry"`, `"none"`),
		"another_content_type":     change(retry, func(a *answer) { a.contentType = "application/json" }),
		"another_id_inside":        edit(retry, `"requestId":"r"`, `"requestId":"s"`),
		"one_field_more":           edit(retry, `{`, `{"cause":"x",`),
		"no_retry_after":           change(retry, func(a *answer) { a.retryAfter = "" }),
		"retry_after_at_once":      change(retry, func(a *answer) { a.retryAfter = "0" }),
		"retry_after_in_words":     change(retry, func(a *answer) { a.retryAfter = "soon" }),
		"retry_after_elsewhere":    change(relogin, func(a *answer) { a.retryAfter = "2" }),
		"no_challenge":             change(relogin, func(a *answer) { a.challenge = "" }),
		"a_challenge_elsewhere":    change(retry, func(a *answer) { a.challenge = "Bearer" }),
		"200_with_one_field_more":  edit(login, `{`, `{"openid":"x",`),
		"200_with_a_short_token":   edit(login, "tt", "t"),
		"200_with_another_status":  edit(login, `"status":200`, `"status":0`),
		"200_as_a_problem":         change(login, func(a *answer) { a.contentType = "application/problem+json" }),
		"200_with_retry_after":     change(login, func(a *answer) { a.retryAfter = "2" }),
		"update_without_a_name":    edit(updated200(t, "u", 1), nickname("u", 1), ""),
		"update_called_anonymous":  edit(updated200(t, "u", 1), `"anonymous":false`, `"anonymous":true`),
		"update_one_field_more":    edit(updated200(t, "u", 1), `{`, `{"unionid":"x",`),
		"a_status_without_problem": {requestID: "r", answer: answer{status: 500, requestID: "r"}},
	}
	for name, e := range tests {
		t.Run(name, func(t *testing.T) {
			if contractFault(e) == "" {
				t.Error("it is let through")
			}
		})
	}
}
