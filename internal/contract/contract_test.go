package contract_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"wxlogin/internal/contract"
)

const id = "r"

func encode(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// okResponse returns a response with status 200 that keeps the contract.
func okResponse(t *testing.T, body any) contract.Response {
	t.Helper()
	return contract.Response{Status: 200, ContentType: "application/json; charset=utf-8", RequestID: id, Body: encode(t, body)}
}

// problemResponse returns an error response that keeps the contract.
func problemResponse(t *testing.T, code string) contract.Response {
	t.Helper()
	p, listed := contract.Lookup(code)
	if !listed {
		t.Fatalf("%s is not listed", code)
	}
	a := contract.Response{Status: p.Status, ContentType: "application/problem+json; charset=utf-8", RequestID: id}
	a.Body = encode(t, contract.Problem{
		Type: "t", Title: "t", Status: p.Status, Detail: "d", Code: code, Action: p.Action, RequestID: id,
	})
	if p.Action == contract.Retry {
		a.RetryAfter = "2"
	}
	if p.Status == http.StatusUnauthorized {
		a.Challenge = "Bearer"
	}
	return a
}

var (
	someone  = contract.UserInfo{NickName: "n", AvatarURL: "a", Gender: 2, Country: "c", Province: "p", City: "t", Language: "l"}
	login    = contract.Login{200, strings.Repeat("t", contract.TokenLength), 60, true, true, "1*1", someone}
	update   = contract.Update{200, true, false, "", someone}
	user     = contract.User{200, true, "1*1", someone}
	active   = contract.Introspection{Active: true, TokenType: "Bearer", Subject: "1", ClientID: "wx1", ExpiresAt: 2, IssuedAt: 1, OpenID: "o"}
	inactive = contract.Introspection{}
	status   = map[string]int{"status": 200}
)

func TestRead(t *testing.T) {
	t.Run("accepts what the contract allows", func(t *testing.T) {
		if got, err := contract.ReadLogin(okResponse(t, login), id); got != login || err != nil {
			t.Errorf("login: %+v, %v", got, err)
		}
		if got, err := contract.ReadUpdate(okResponse(t, update), id); got != update || err != nil {
			t.Errorf("update: %+v, %v", got, err)
		}
		if got, err := contract.ReadUser(okResponse(t, user), id); got != user || err != nil {
			t.Errorf("user: %+v, %v", got, err)
		}
		for _, want := range []contract.Introspection{active, inactive} {
			if got, err := contract.ReadIntrospection(okResponse(t, want), id); got != want || err != nil {
				t.Errorf("introspection: %+v, %v", got, err)
			}
		}
		if err := contract.ReadLogout(okResponse(t, status), id); err != nil {
			t.Errorf("logout: %v", err)
		}
		for _, code := range contract.Codes() {
			p, _ := contract.Lookup(code)
			got, err := contract.ReadProblem(problemResponse(t, code), id)
			if err != nil || got.Code != code || (got.RetryAfter == 2) != (p.Action == contract.Retry) {
				t.Errorf("%s: %+v, %v", code, got, err)
			}
		}
	})
}

func edit(a contract.Response, old, with string) contract.Response {
	a.Body = []byte(strings.Replace(string(a.Body), old, with, 1))
	return a
}

func change(a contract.Response, f func(*contract.Response)) contract.Response {
	f(&a)
	return a
}

func TestReadProblem(t *testing.T) {
	retry, relogin := problemResponse(t, "storage_unavailable"), problemResponse(t, "invalid_token")
	for name, a := range map[string]contract.Response{
		"another_requests_answer": change(retry, func(a *contract.Response) { a.RequestID = "other" }),
		"a_page":                  change(retry, func(a *contract.Response) { a.Body = []byte("<html>") }),
		"nothing":                 change(retry, func(a *contract.Response) { a.Body = nil }),
		"an_unlisted_code":        edit(retry, "storage_unavailable", "tired"),
		"another_status":          change(retry, func(a *contract.Response) { a.Status = 500 }),
		"another_status_inside":   edit(retry, `"status":503`, `"status":500`),
		"another_action":          edit(retry, `"retry"`, `"none"`),
		"another_content_type":    change(retry, func(a *contract.Response) { a.ContentType = "application/json" }),
		"another_id_inside":       edit(retry, `"requestId":"r"`, `"requestId":"s"`),
		"one_field_more":          edit(retry, `{`, `{"cause":"x",`),
		"one_field_less":          edit(retry, `"detail":"d",`, ``),
		"a_second_body":           edit(retry, `}`, `}{}`),
		"no_retry_after":          change(retry, func(a *contract.Response) { a.RetryAfter = "" }),
		"retry_after_at_once":     change(retry, func(a *contract.Response) { a.RetryAfter = "0" }),
		"retry_after_in_words":    change(retry, func(a *contract.Response) { a.RetryAfter = "soon" }),
		"retry_after_elsewhere":   change(relogin, func(a *contract.Response) { a.RetryAfter = "2" }),
		"no_challenge":            change(relogin, func(a *contract.Response) { a.Challenge = "" }),
		"a_challenge_elsewhere":   change(retry, func(a *contract.Response) { a.Challenge = "Bearer" }),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := contract.ReadProblem(a, id)
			if _, ok := errors.AsType[contract.Violation](err); !ok {
				t.Errorf("%v", err)
			}
		})
	}
}

// Every response with status 200 is changed in each of these ways.
func TestRead_Violations(t *testing.T) {
	readers := map[string]struct {
		body any
		read func(contract.Response) error
	}{
		"login":      {login, func(a contract.Response) error { _, err := contract.ReadLogin(a, id); return err }},
		"update":     {update, func(a contract.Response) error { _, err := contract.ReadUpdate(a, id); return err }},
		"user":       {user, func(a contract.Response) error { _, err := contract.ReadUser(a, id); return err }},
		"introspect": {active, func(a contract.Response) error { _, err := contract.ReadIntrospection(a, id); return err }},
		"logout":     {status, func(a contract.Response) error { return contract.ReadLogout(a, id) }},
	}
	for route, r := range readers {
		good := okResponse(t, r.body)
		spoilt := map[string]contract.Response{
			"another_requests_answer": change(good, func(a *contract.Response) { a.RequestID = "other" }),
			"a_problem":               change(good, func(a *contract.Response) { a.ContentType = "application/problem+json" }),
			"with_retry_after":        change(good, func(a *contract.Response) { a.RetryAfter = "1" }),
			"with_a_challenge":        change(good, func(a *contract.Response) { a.Challenge = "Bearer" }),
			"one_field_more":          edit(good, `{`, `{"session_key":"x",`),
			"cut_off":                 change(good, func(a *contract.Response) { a.Body = a.Body[:len(a.Body)-1] }),
			"of_another_type":         edit(good, `:`, `:[],"x":`),
		}
		for _, field := range fieldsOf(t, good.Body) {
			if field == "unionid" {
				continue
			}
			spoilt["without_"+field] = without(t, good, field)
		}
		for name, a := range spoilt {
			t.Run(route+"/"+name, func(t *testing.T) {
				if err := r.read(a); err == nil {
					t.Errorf("it is let through: %s", a.Body)
				}
			})
		}
	}
}

func TestRead_InvalidValues(t *testing.T) {
	read := func(a contract.Response) []error {
		_, login := contract.ReadLogin(a, id)
		_, update := contract.ReadUpdate(a, id)
		_, user := contract.ReadUser(a, id)
		_, introspection := contract.ReadIntrospection(a, id)
		return []error{login, update, user, introspection, contract.ReadLogout(a, id)}
	}
	for name, a := range map[string]contract.Response{
		"another_status_inside":      edit(okResponse(t, status), "200", "201"),
		"another_status_of_a_login":  edit(okResponse(t, login), "200", "201"),
		"a_short_token":              edit(okResponse(t, login), "tt", "t"),
		"a_token_without_life":       edit(okResponse(t, login), `"expiresIn":60`, `"expiresIn":0`),
		"complete_without_nickname":  edit(okResponse(t, user), `"n"`, `""`),
		"not_complete_that_is":       edit(okResponse(t, user), `"profileComplete":true`, `"profileComplete":false`),
		"a_whole_phone_number":       edit(okResponse(t, user), `"1*1"`, `"111"`),
		"a_profile_with_a_hole":      edit(okResponse(t, update), `"city":"t",`, ``),
		"inactive_with_an_openid":    edit(okResponse(t, active), `"active":true`, `"active":false`),
		"active_for_less_than_0":     edit(okResponse(t, active), `"exp":2`, `"exp":1`),
		"a_token_of_another_type":    edit(okResponse(t, active), "Bearer", "MAC"),
		"a_user_with_another's_form": edit(okResponse(t, user), `{`, `{"anonymous":false,"isNewUser":false,`),
	} {
		t.Run(name, func(t *testing.T) {
			for i, err := range read(a) {
				if err == nil {
					t.Errorf("reader %d lets it through: %s", i, a.Body)
				}
			}
		})
	}
}

// A response may hold a secret.
func TestViolation_HoldsNoContent(t *testing.T) {
	for _, body := range []string{`{"s3cret":1}`, `s3cret`, `{"status":"s3cret"}`, `{"code":"s3cret"}`, `{"status":200} s3cret`} {
		for i, contentType := range []string{"application/json", "application/problem+json"} {
			a := contract.Response{Status: 200 + i, ContentType: contentType, RequestID: id, Body: []byte(body)}
			_, user := contract.ReadUser(a, id)
			_, problem := contract.ReadProblem(a, id)
			for _, err := range []error{user, problem, contract.ReadLogout(a, id)} {
				if err == nil || strings.Contains(err.Error(), "s3cret") {
					t.Errorf("%s: %v", strconv.Quote(body), err)
				}
			}
		}
	}
}

func fieldsOf(t *testing.T, body []byte) (names []string) {
	t.Helper()
	var all map[string]json.RawMessage
	if err := json.Unmarshal(body, &all); err != nil {
		t.Fatal(err)
	}
	for name := range all {
		names = append(names, name)
	}
	return names
}

func without(t *testing.T, a contract.Response, field string) contract.Response {
	t.Helper()
	var all map[string]json.RawMessage
	if err := json.Unmarshal(a.Body, &all); err != nil {
		t.Fatal(err)
	}
	delete(all, field)
	a.Body = encode(t, all)
	return a
}

func FuzzRead(f *testing.F) {
	for _, v := range []any{login, update, user, active, inactive, status} {
		b, err := json.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		a := contract.Response{Status: 200, ContentType: "application/json", RequestID: id, Body: body}
		if got, err := contract.ReadLogin(a, id); err == nil {
			a.Body = encode(t, got)
			if again, err := contract.ReadLogin(a, id); again != got || err != nil {
				t.Errorf("%+v is read as %+v, %v", got, again, err)
			}
		}
		if got, err := contract.ReadIntrospection(a, id); err == nil {
			a.Body = encode(t, got)
			if again, err := contract.ReadIntrospection(a, id); again != got || err != nil {
				t.Errorf("%+v is read as %+v, %v", got, again, err)
			}
		}
		_, _ = contract.ReadUpdate(a, id) // must not panic
		_, _ = contract.ReadProblem(a, id)
	})
}
