package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"
)

const (
	appID     = "wx00000000faults0"
	appSecret = "5ec2e7ffau17ffau17ffau17ffau1799"

	simulatorTimeout = 500 * time.Millisecond
	simulatorPause   = 300 * time.Millisecond // between attempts, while it is down
)

var errSimulatorDown = errors.New("the simulator is down")

// simulator is WeChat: the process, and what phones ask of it beside the server.
type simulator struct {
	child
	addr   string
	client *http.Client
	failed atomic.Int64 // when a call failed last, in Unix nanoseconds
}

func newSimulator(dir, addr string, latency time.Duration) *simulator {
	return &simulator{
		addr: addr,
		child: child{
			name: "wxsim", path: filepath.Join(dir, "wxsim"), log: filepath.Join(dir, "wxsim.log"),
			args: []string{"-addr", addr, "-appid", appID, "-secret", appSecret, "-latency", latency.String()},
		},
		client: &http.Client{Timeout: simulatorTimeout, Transport: newTransport()},
	}
}

// newTransport is for many short calls to few hosts, none of them behind a proxy.
func newTransport() *http.Transport {
	return &http.Transport{MaxIdleConnsPerHost: 1024, IdleConnTimeout: 30 * time.Second, DisableCompression: true}
}

// openData is what wx.getUserInfo gives.
type openData struct {
	RawData, Signature, EncryptedData, IV string
}

// login is wx.login: it returns a code.
func (s *simulator) login(ctx context.Context, user string) (string, error) {
	var answer struct{ Code string }
	err := s.call(ctx, http.MethodPost, "/sim/login", url.Values{"user": {user}}, &answer)
	return answer.Code, err
}

// userInfo is wx.getUserInfo after the user has chosen a nickname.
func (s *simulator) userInfo(ctx context.Context, user, nickname string) (openData, error) {
	var answer openData
	err := s.call(ctx, http.MethodPost, "/sim/userinfo", url.Values{"user": {user}, "nickname": {nickname}}, &answer)
	return answer, err
}

func (s *simulator) newKey(ctx context.Context, user string) error {
	return s.call(ctx, http.MethodPost, "/sim/newkey", url.Values{"user": {user}}, &struct{}{})
}

// account returns what neither phone nor answer may ever know.
func (s *simulator) account(ctx context.Context, user string) (openID, sessionKey string, err error) {
	var answer struct{ OpenID, SessionKey string }
	err = s.call(ctx, http.MethodGet, "/sim/account", url.Values{"user": {user}}, &answer)
	return answer.OpenID, answer.SessionKey, err
}

// fault lets the next n exchanges fail.
func (s *simulator) fault(ctx context.Context, kind string, n int) error {
	return s.ask(ctx, http.MethodPost, "/sim/fault", url.Values{"kind": {kind}, "n": {strconv.Itoa(n)}}, &struct{}{})
}

func (s *simulator) probe(ctx context.Context) error {
	return getOK(ctx, s.client, "http://"+s.addr+"/sim/healthz")
}

// call answers errSimulatorDown at once for a while after a failure, so that phones do not all wait for a dead part.
func (s *simulator) call(ctx context.Context, method, path string, query url.Values, into any) error {
	if time.Since(time.Unix(0, s.failed.Load())) < simulatorPause {
		return errSimulatorDown
	}
	err := s.ask(ctx, method, path, query, into)
	if err != nil {
		s.failed.Store(time.Now().UnixNano())
	}
	return err
}

func (s *simulator) ask(ctx context.Context, method, path string, query url.Values, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+s.addr+path+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the simulator answers %d", resp.StatusCode)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// getOK wants status 200.
func getOK(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %d", req.URL.Path, resp.StatusCode)
	}
	return nil
}
