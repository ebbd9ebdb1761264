package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"wxlogin/internal/config"
	"wxlogin/internal/server"
	"wxlogin/wechat/wechattest"
)

// accessToken returns the access_token that a server gives to another service. If refused is not "", that service says that
// WeChat has refused it. On a busy machine the wait for another instance may end with a 503, after which services repeat
// the request.
func (s *twoInstances) accessToken(server int, refused string) string {
	s.Helper()
	for {
		status, token := s.callAccessToken(server, refused)
		if status == http.StatusOK || s.Failed() {
			return token
		}
		if status != http.StatusServiceUnavailable {
			s.Errorf("got %d", status)
		}
	}
}

func (s *twoInstances) callAccessToken(server int, refused string) (status int, token string) {
	s.Helper()
	method, form := http.MethodGet, ""
	if refused != "" {
		method, form = http.MethodPost, url.Values{"refused": {refused}}.Encode()
	}
	req, err := http.NewRequest(method, "http://"+s.servers[server].InternalAddr()+"/accessToken", strings.NewReader(form))
	if err != nil {
		s.Error(err)
		return 0, ""
	}
	req.Header.Set("X-Api-Key", internalKey)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.Error(err)
		return 0, ""
	}
	defer res.Body.Close()
	var body struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
		s.Error(err)
	}
	return res.StatusCode, body.AccessToken
}

func TestAccessToken(t *testing.T) {
	t.Run("is one for all instances and for phone numbers", func(t *testing.T) {
		s := startTwo(t)
		token := s.accessToken(0, "")
		if s.accessToken(1, "") != token || token != s.sim.AccessTokens("")[0] {
			t.Error("two tokens")
		}
		s.want(0, 200, "")
		s.wantCalls(1, 1, 1)
	})

	t.Run("is replaced once if many services report it as refused at the same time", func(t *testing.T) {
		s := startTwo(t)
		old := s.accessToken(0, "")
		tokens := make([]string, 50)
		var group sync.WaitGroup
		for i := range tokens {
			group.Go(func() { tokens[i] = s.accessToken(i%2, old) })
		}
		group.Wait()
		if next := slices.Compact(tokens); len(next) != 1 || next[0] == old || next[0] != s.sim.AccessTokens("")[0] {
			t.Errorf("%d tokens, or not the new one", len(next))
		}
		s.wantCalls(3, 2, 0)

		// Phone numbers share the limit of one refresh in a minute.
		s.sim.FailAPI(wechattest.PhoneNumbers, wechattest.ErrCode(40001))
		s.want(1, 503, "misconfigured")
		s.wantCalls(4, 2, 1)
	})
}

func TestAccessToken_Off(t *testing.T) {
	c := newConfig(t)
	c.InternalAPIKey = internalKey
	s, err := server.Start(t.Context(), c, server.Options{Logger: config.Log{}.NewLogger(io.Discard)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown(t.Context())
	if status, body := get(t, "http://"+s.InternalAddr()+"/accessToken"); status != http.StatusNotFound {
		t.Errorf("%d %s", status, body)
	}
}
