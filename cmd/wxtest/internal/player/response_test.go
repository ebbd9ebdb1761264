package player

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const id = "r"

func encode(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// okResponse returns a response with status 200 that keeps the contract.
func okResponse(t testing.TB, body any) Response {
	t.Helper()
	return Response{Status: 200, ContentType: "application/json; charset=utf-8", RequestID: id, Body: encode(t, body)}
}

// problemResponse returns an error response that keeps the contract.
func problemResponse(t *testing.T, code string) Response {
	t.Helper()
	p, listed := Problems[code]
	if !listed {
		t.Fatalf("%s is not listed", code)
	}
	a := Response{Status: p.Status, ContentType: "application/problem+json; charset=utf-8", RequestID: id}
	a.Body = encode(t, Problem{
		Type: "t", Title: "t", Status: p.Status, Detail: "d", Code: code, Action: p.Action, RequestID: id,
	})
	if p.Action == Retry {
		a.RetryAfter = "2"
	}
	if p.Status == http.StatusUnauthorized {
		a.Challenge = "Bearer"
	}
	return a
}

var someone = Profile{NickName: "n", AvatarURL: "a", Gender: 2, Country: "c", Province: "p", City: "t", Language: "l"}

// good are bodies that keep the contract.
var good = map[Route]Body{
	Login: {Status: 200, Token: strings.Repeat("t", TokenLength), ExpiresIn: 60, IsNewUser: true, ProfileComplete: true,
		PhoneNumber: "1*1", UserInfo: someone},
	Update:     {Status: 200, ProfileComplete: true, UserInfo: someone},
	ReadUser:   {Status: 200, ProfileComplete: true, PhoneNumber: "1*1", UserInfo: someone},
	Introspect: {Active: true, TokenType: "Bearer", Subject: "1", ClientID: "wx1", ExpiresAt: 2, IssuedAt: 1, OpenID: "o"},
	Logout:     {Status: 200},
}

// bodyOf returns a body with the fields of its route.
func bodyOf(t testing.TB, route Route, b Body) []byte {
	t.Helper()
	var all map[string]json.RawMessage
	if err := json.Unmarshal(encode(t, b), &all); err != nil {
		t.Fatal(err)
	}
	want := fields[route]
	if b.Active {
		want = activeFields
	}
	for name := range all {
		if !slices.Contains(want, name) && (name != "unionid" || b.UnionID == "") {
			delete(all, name)
		}
	}
	return encode(t, all)
}

// okRoute returns a response of a route that keeps the contract.
func okRoute(t testing.TB, route Route) Response {
	t.Helper()
	return okResponse(t, json.RawMessage(bodyOf(t, route, good[route])))
}

func TestResponse_ReadBody(t *testing.T) {
	t.Run("accepts what the contract allows", func(t *testing.T) {
		for route, want := range good {
			if got, err := okRoute(t, route).ReadBody(route, id); got != want || err != nil {
				t.Errorf("%s: %+v, %v", route, got, err)
			}
		}
		inactive := okResponse(t, map[string]bool{"active": false})
		if got, err := inactive.ReadBody(Introspect, id); got != (Body{}) || err != nil {
			t.Errorf("an inactive token: %+v, %v", got, err)
		}
		for code, p := range Problems {
			got, err := problemResponse(t, code).ReadProblem(id)
			if err != nil || got.Code != code || (got.RetryAfter == 2) != (p.Action == Retry) {
				t.Errorf("%s: %+v, %v", code, got, err)
			}
		}
	})
}

func edit(a Response, old, with string) Response {
	a.Body = []byte(strings.Replace(string(a.Body), old, with, 1))
	return a
}

func change(a Response, f func(*Response)) Response {
	f(&a)
	return a
}

func TestResponse_ReadProblem(t *testing.T) {
	retry, relogin := problemResponse(t, "storage_unavailable"), problemResponse(t, "invalid_token")
	for name, a := range map[string]Response{
		"another_requests_answer": change(retry, func(a *Response) { a.RequestID = "other" }),
		"a_page":                  change(retry, func(a *Response) { a.Body = []byte("<html>") }),
		"nothing":                 change(retry, func(a *Response) { a.Body = nil }),
		"an_unlisted_code":        edit(retry, "storage_unavailable", "tired"),
		"another_status":          change(retry, func(a *Response) { a.Status = 500 }),
		"another_status_inside":   edit(retry, `"status":503`, `"status":500`),
		"another_action":          edit(retry, `"retry"`, `"none"`),
		"another_content_type":    change(retry, func(a *Response) { a.ContentType = "application/json" }),
		"another_id_inside":       edit(retry, `"requestId":"r"`, `"requestId":"s"`),
		"one_field_more":          edit(retry, `{`, `{"cause":"x",`),
		"one_field_less":          edit(retry, `"detail":"d",`, ``),
		"a_second_body":           edit(retry, `}`, `}{}`),
		"no_retry_after":          change(retry, func(a *Response) { a.RetryAfter = "" }),
		"retry_after_at_once":     change(retry, func(a *Response) { a.RetryAfter = "0" }),
		"retry_after_in_words":    change(retry, func(a *Response) { a.RetryAfter = "soon" }),
		"retry_after_elsewhere":   change(relogin, func(a *Response) { a.RetryAfter = "2" }),
		"no_challenge":            change(relogin, func(a *Response) { a.Challenge = "" }),
		"a_challenge_elsewhere":   change(retry, func(a *Response) { a.Challenge = "Bearer" }),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := a.ReadProblem(id)
			if _, ok := errors.AsType[Violation](err); !ok {
				t.Errorf("%v", err)
			}
		})
	}
}

// Every response with status 200 is changed in each of these ways.
func TestResponse_ReadBody_violations(t *testing.T) {
	for route := range good {
		good := okRoute(t, route)
		spoilt := map[string]Response{
			"another_requests_answer": change(good, func(a *Response) { a.RequestID = "other" }),
			"a_problem":               change(good, func(a *Response) { a.ContentType = "application/problem+json" }),
			"with_retry_after":        change(good, func(a *Response) { a.RetryAfter = "1" }),
			"with_a_challenge":        change(good, func(a *Response) { a.Challenge = "Bearer" }),
			"one_field_more":          edit(good, `{`, `{"session_key":"x",`),
			"cut_off":                 change(good, func(a *Response) { a.Body = a.Body[:len(a.Body)-1] }),
			"of_another_type":         edit(good, `:`, `:[],"x":`),
		}
		for _, field := range fieldsOf(t, good.Body) {
			if field == "unionid" {
				continue
			}
			spoilt["without_"+field] = without(t, good, field)
		}
		for name, a := range spoilt {
			t.Run(route.String()[1:]+"/"+name, func(t *testing.T) {
				if _, err := a.ReadBody(route, id); err == nil {
					t.Errorf("it is let through: %s", a.Body)
				}
			})
		}
	}
}

func TestResponse_ReadBody_invalid_values(t *testing.T) {
	for name, a := range map[string]Response{
		"another_status_inside":      edit(okRoute(t, Logout), "200", "201"),
		"another_status_of_a_login":  edit(okRoute(t, Login), "200", "201"),
		"a_short_token":              edit(okRoute(t, Login), "tt", "t"),
		"a_token_without_life":       edit(okRoute(t, Login), `"expiresIn":60`, `"expiresIn":0`),
		"complete_without_nickname":  edit(okRoute(t, ReadUser), `"n"`, `""`),
		"not_complete_that_is":       edit(okRoute(t, ReadUser), `"profileComplete":true`, `"profileComplete":false`),
		"a_whole_phone_number":       edit(okRoute(t, ReadUser), `"1*1"`, `"111"`),
		"a_profile_with_a_hole":      edit(okRoute(t, Update), `"city":"t",`, ``),
		"inactive_with_an_openid":    edit(okRoute(t, Introspect), `"active":true`, `"active":false`),
		"active_for_less_than_0":     edit(okRoute(t, Introspect), `"exp":2`, `"exp":1`),
		"a_token_of_another_type":    edit(okRoute(t, Introspect), "Bearer", "MAC"),
		"a_user_with_another's_form": edit(okRoute(t, ReadUser), `{`, `{"anonymous":false,"isNewUser":false,`),
	} {
		t.Run(name, func(t *testing.T) {
			for route := range Routes {
				if _, err := a.ReadBody(route, id); err == nil {
					t.Errorf("%s lets it through: %s", route, a.Body)
				}
			}
		})
	}
}

// A response may hold a secret.
func TestViolation_holds_no_content(t *testing.T) {
	for _, body := range []string{`{"s3cret":1}`, `s3cret`, `{"status":"s3cret"}`, `{"code":"s3cret"}`, `{"status":200} s3cret`} {
		for i, contentType := range []string{"application/json", "application/problem+json"} {
			a := Response{Status: 200 + i, ContentType: contentType, RequestID: id, Body: []byte(body)}
			_, user := a.ReadBody(ReadUser, id)
			_, problem := a.ReadProblem(id)
			_, logout := a.ReadBody(Logout, id)
			for _, err := range []error{user, problem, logout} {
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

func without(t *testing.T, a Response, field string) Response {
	t.Helper()
	var all map[string]json.RawMessage
	if err := json.Unmarshal(a.Body, &all); err != nil {
		t.Fatal(err)
	}
	delete(all, field)
	a.Body = encode(t, all)
	return a
}

func FuzzReadResponse(f *testing.F) {
	for route := range Routes {
		f.Add(bodyOf(f, route, good[route]))
	}
	f.Add([]byte(`{"active":false}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		a := Response{Status: 200, ContentType: "application/json", RequestID: id, Body: body}
		for route := range Routes {
			got, err := a.ReadBody(route, id)
			if err != nil {
				continue
			}
			again := okResponse(t, json.RawMessage(bodyOf(t, route, got)))
			if b, err := again.ReadBody(route, id); b != got || err != nil {
				t.Errorf("%s: %+v is read as %+v, %v", route, got, b, err)
			}
		}
		_, _ = a.ReadProblem(id) // must not panic
	})
}
