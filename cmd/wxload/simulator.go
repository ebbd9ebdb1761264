package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"wxlogin/internal/contract"
)

const (
	simulatorTimeout = 5 * time.Second
	simulatorPause   = 200 * time.Millisecond // after a failure

	// simulatorCalls are how many requests it gets at once at most: it shares the machine with the servers, and answers
	// within a millisecond.
	simulatorCalls = 8
)

// simulator is WeChat on the phone.
type simulator struct {
	client *http.Client
	base   string
	appID  string
	free   chan struct{} // holds a place for each request at once

	asked, failed atomic.Int64
}

func newSimulator(base, appID string, transport http.RoundTripper) *simulator {
	return &simulator{
		client: &http.Client{Timeout: simulatorTimeout, Transport: transport},
		base:   base, appID: appID, free: make(chan struct{}, simulatorCalls),
	}
}

// sealed is a profile as wx.getUserInfo gives it.
type sealed struct {
	EncryptedData string            `json:"encryptedData"`
	IV            string            `json:"iv"`
	UserInfo      contract.UserInfo `json:"userInfo"`

	from, to int64 // Unix seconds before and after the call: the watermark is one of them, or one in between
}

// login is wx.login: it returns a code.
func (s *simulator) login(ctx context.Context, user string) (string, error) {
	var answer struct {
		Code string `json:"code"`
	}
	err := s.ask(ctx, http.MethodPost, "/sim/login", url.Values{"user": {user}}, &answer)
	return answer.Code, err
}

// userInfo is wx.getUserInfo after the user has chosen a nickname.
func (s *simulator) userInfo(ctx context.Context, user, nickname string) (sealed, error) {
	data := sealed{from: time.Now().Unix()}
	err := s.ask(ctx, http.MethodPost, "/sim/userinfo", url.Values{"user": {user}, "nickname": {nickname}}, &data)
	data.to = time.Now().Unix()
	return data, err
}

// openID is what no phone knows.
func (s *simulator) openID(ctx context.Context, user string) (string, error) {
	var answer struct {
		OpenID string `json:"openid"`
	}
	err := s.ask(ctx, http.MethodGet, "/sim/account", url.Values{"user": {user}}, &answer)
	return answer.OpenID, err
}

// ask waits for its turn and asks once. The error holds nothing secret.
func (s *simulator) ask(ctx context.Context, method, path string, query url.Values, into any) error {
	select {
	case s.free <- struct{}{}:
		defer func() { <-s.free }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.appID != "" {
		query.Set("appid", s.appID)
	}
	s.asked.Add(1)
	err := s.send(ctx, method, s.base+path+"?"+query.Encode(), into)
	if err != nil && ctx.Err() == nil {
		s.failed.Add(1)
	}
	return err
}

func (s *simulator) send(ctx context.Context, method, address string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s of the simulator answers %d", req.URL.Path, resp.StatusCode)
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("%s of the simulator does not answer JSON", req.URL.Path)
	}
	_, err = io.Copy(io.Discard, resp.Body) // or the connection could not be used again
	return err
}
