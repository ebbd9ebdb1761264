package client_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"wxlogin/client"
)

// numbered returns the well-formed token of a user.
func numbered(user int) string { return fmt.Sprintf("%043d", user) }

// counting is a server that knows every numbered token of a user above 0, and counts the questions.
type counting struct {
	asked   int
	session time.Duration // how long sessions last
}

func (s *counting) answer(r *http.Request) (*http.Response, error) {
	s.asked++
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	var user int
	if _, err := fmt.Sscanf(form.Get("token"), "%d", &user); err != nil || user == 0 {
		return respond(http.StatusOK, `{"active":false}`)
	}
	exp := time.Now().Add(s.session).Unix()
	return respond(http.StatusOK, fmt.Sprintf(`{"active":true,"sub":"%d","client_id":"wx1","openid":"o","exp":%d}`, user, exp))
}

func TestIntrospect_Cache(t *testing.T) {
	type step struct {
		pass  time.Duration // before the question
		user  int
		asked int // questions in all, after it
	}
	for name, test := range map[string]struct {
		ttl, session time.Duration
		steps        []step
	}{
		"off":                           {0, time.Hour, []step{{0, 1, 1}, {0, 1, 2}}},
		"for its time":                  {time.Minute, time.Hour, []step{{0, 1, 1}, {59 * time.Second, 1, 1}, {time.Second, 1, 2}, {0, 1, 2}}},
		"each token its own":            {time.Minute, time.Hour, []step{{0, 1, 1}, {0, 2, 2}, {0, 1, 2}, {0, 2, 2}}},
		"not beyond the session's end":  {time.Minute, 5 * time.Second, []step{{0, 1, 1}, {4 * time.Second, 1, 1}, {time.Second, 1, 2}}},
		"nothing that is not active":    {time.Minute, time.Hour, []step{{0, 0, 1}, {0, 0, 2}}},
		"a use does not make it longer": {10 * time.Second, time.Hour, []step{{0, 1, 1}, {6 * time.Second, 1, 1}, {4 * time.Second, 1, 2}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &counting{session: test.session}
				c := stubbed(t, server.answer, func(o *client.Options) { o.CacheTTL = test.ttl })
				for i, s := range test.steps {
					time.Sleep(s.pass) // of the bubble's clock
					got, err := c.Introspect(t.Context(), numbered(s.user))
					if s.user == 0 && !errors.Is(err, client.ErrInvalidToken) || got.UserID != uint64(s.user) {
						t.Errorf("step %d: user %d, %v", i, got.UserID, err)
					}
					if server.asked != s.asked {
						t.Errorf("step %d: %d questions, want %d", i, server.asked, s.asked)
					}
				}
			})
		})
	}
}

// The number of tokens that are kept is bounded: the newest is always among them.
func TestIntrospect_CacheIsBounded(t *testing.T) {
	const most = 10000
	server := &counting{session: time.Hour}
	c := stubbed(t, server.answer, func(o *client.Options) { o.CacheTTL = time.Minute })
	ask := func(user int) {
		t.Helper()
		if got, err := c.Introspect(t.Context(), numbered(user)); err != nil || got.UserID != uint64(user) {
			t.Fatalf("user %d, %v", got.UserID, err)
		}
	}
	for user := 1; user <= most+100; user++ {
		ask(user)
		ask(user)
	}
	if server.asked != most+100 {
		t.Errorf("%d questions: a token was not kept until the next request", server.asked)
	}
	for user := 1; user <= most+100; user++ {
		ask(user)
	}
	if forgotten := server.asked - (most + 100); forgotten < 100 {
		t.Errorf("of %d tokens only %d were forgotten", most+100, forgotten)
	}
}
