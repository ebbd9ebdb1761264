package handlers_test

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"testing"

	"wxlogin/handlers"
	"wxlogin/session"
	"wxlogin/wechat/wechattest"
)

// garbage has the form of open data and of an iv, and opens under no key.
const garbage = "AAAAAAAAAAAAAAAAAAAAAA=="

// gatedKeys are sessions of which the keys of others are had when the gate opens: when enough calls have asked for them.
type gatedKeys struct {
	handlers.Sessions
	mu    sync.Mutex
	asked int
	until int
	open  chan struct{}
}

func (g *gatedKeys) OtherSessionKeys(ctx context.Context, sess session.Session) ([]string, error) {
	g.mu.Lock()
	if g.asked++; g.asked == g.until {
		close(g.open)
	}
	g.mu.Unlock()
	<-g.open
	return g.Sessions.OtherSessionKeys(ctx, sess)
}

// gateKeys has the keys of other sessions wait until enough calls ask for them.
func gateKeys(calls int) func(*setup) {
	return func(su *setup) {
		su.sessions = func(s handlers.Sessions) handlers.Sessions {
			return &gatedKeys{Sessions: s, until: calls, open: make(chan struct{})}
		}
	}
}

// atOnce posts forms at the same time, and counts the statuses of the answers.
func (w *world) atOnce(path []string, forms []url.Values) map[int]int {
	w.t.Helper()
	statuses := make(chan int, len(forms))
	var group sync.WaitGroup
	for i, form := range forms {
		group.Go(func() {
			res, err := http.PostForm(w.public.URL+path[i%len(path)], form)
			if err != nil {
				w.t.Error(err)
				return
			}
			res.Body.Close()
			statuses <- res.StatusCode
		})
	}
	group.Wait()
	close(statuses)
	got := make(map[int]int)
	for status := range statuses {
		got[status]++
	}
	return got
}

func TestLimit_of_failed_decryptions_at_once(t *testing.T) {
	t.Run("no_more_than_the_limit_are_tried", func(t *testing.T) {
		const limit, attempts = 10, 256
		w := newWorld(t, limits(handlers.Limits{FailedUpdates: limit}), gateKeys(limit))
		p := w.phone("mallory")
		tokens := []string{w.login(p).Token, w.login(p).Token, w.login(p).Token}
		var forms []url.Values
		for i := range attempts {
			forms = append(forms, url.Values{"token": {tokens[i%len(tokens)]}, "encryptedData": {garbage}, "iv": {garbage}})
		}
		got := w.atOnce([]string{"/updateUserInfo", "/bindPhone"}, forms)
		if got[422] != limit || got[429] != attempts-limit {
			t.Errorf("got %v, want %d times 422 and %d times 429", got, limit, attempts-limit)
		}
		if tried := w.metric(`wxlogin_decryptions_total{outcome="failed"}`); tried != "10" {
			t.Errorf("%s attempts were tried, want 10", tried)
		}
		w.wantLimited(w.update(w.login(p).Token, p.GetUserInfo()))
	})
	t.Run("good_data_is_not_refused", func(t *testing.T) {
		const limit, updates = 10, 40
		w := newWorld(t, limits(handlers.Limits{FailedUpdates: limit}))
		p := w.phone("alice")
		token := w.login(p).Token
		var forms []url.Values
		for range updates {
			forms = append(forms, formOf(token, p.GetUserInfo()))
		}
		if got := w.atOnce([]string{"/updateUserInfo"}, forms); got[429] != 0 || got[422] != 0 {
			t.Errorf("got %v", got)
		}
	})
	t.Run("good_data_under_the_key_of_another_session_is_not_refused", func(t *testing.T) {
		const limit, updates = 10, 40
		w := newWorld(t, limits(handlers.Limits{FailedUpdates: limit}), gateKeys(limit)) // all places are taken at once
		p := w.phone("alice")
		token := w.login(p).Token
		p.NewSessionKey()
		w.login(p)
		var forms []url.Values
		for range updates {
			forms = append(forms, formOf(token, p.GetUserInfo()))
		}
		if got := w.atOnce([]string{"/updateUserInfo"}, forms); got[429] != 0 || got[422] != 0 {
			t.Errorf("got %v", got)
		}
		if n := w.metric(`wxlogin_decryptions_total{outcome="other_key"}`); n != "40" {
			t.Errorf("%s decryptions, want 40", n)
		}
		w.mustUpdate(token, p.GetUserInfo()) // all places were given back
	})
}

// failingKeys are sessions of which the keys of others cannot be had.
type failingKeys struct{ handlers.Sessions }

func (failingKeys) OtherSessionKeys(context.Context, session.Session) ([]string, error) {
	return nil, session.ErrUnavailable
}

// A guess that was tried under the session's own key counts, even if storage fails before the others are: its client sees
// that the data did not open.
func TestLimit_of_failed_decryptions_counts_guesses_that_storage_cuts_short(t *testing.T) {
	w := newWorld(t, limits(handlers.Limits{FailedUpdates: 3}), func(su *setup) {
		su.sessions = func(s handlers.Sessions) handlers.Sessions { return failingKeys{s} }
	})
	p := w.phone("mallory")
	token := w.login(p).Token
	for range 3 {
		w.mustUpdate(token, p.GetUserInfo()) // needs no other key, and is not counted
		w.wantProblem(w.update(token, wechattest.OpenData{EncryptedData: garbage, IV: garbage}), 503, "storage_unavailable", "retry")
	}
	w.wantLimited(w.update(token, p.GetUserInfo()))
}
