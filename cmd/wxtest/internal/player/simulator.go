package player

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"
)

var errCoolingDown = errors.New("the simulator failed a moment ago")

// Simulator is WeChat on the user's device, which the simulator plays too.
type Simulator struct {
	Base     string        // URL
	AppID    string        // may be empty if the simulator has one mini-program
	Client   *http.Client  // with a time-out
	InFlight chan struct{} // a semaphore: its capacity is how many calls there may be at once
	CoolDown time.Duration // how long calls fail at once after a failure, so that they do not all wait for a dead process

	requests, failures, failedAt atomic.Int64
}

// Counts returns how often the simulator was called, and how often that failed.
func (s *Simulator) Counts() (requests, failures int64) { return s.requests.Load(), s.failures.Load() }

// Sealed is an encrypted profile as wx.getUserInfo gives it.
type Sealed struct {
	RawData       string  `json:"rawData"`
	Signature     string  `json:"signature"`
	EncryptedData string  `json:"encryptedData"`
	IV            string  `json:"iv"`
	UserInfo      Profile `json:"userInfo"`

	Watermark Watermark `json:"-"`
}

// Watermark is when data was encrypted, in Unix seconds before and after the call: WeChat's watermark is in this range.
type Watermark struct{ From, To int64 }

// MaybeSame reports whether two watermarks may be of the same second.
func (w Watermark) MaybeSame(other Watermark) bool { return w.From <= other.To && other.From <= w.To }

// Form returns the fields of an update.
func (s Sealed) Form() url.Values {
	return url.Values{"encryptedData": {s.EncryptedData}, "iv": {s.IV}}
}

// Login is wx.login: it returns a code.
func (s *Simulator) Login(ctx context.Context, user string) (string, error) {
	var answer struct{ Code string }
	err := s.call(ctx, http.MethodPost, "/sim/login", url.Values{"user": {user}}, &answer)
	return answer.Code, err
}

// UserInfo is wx.getUserInfo after the user has chosen a nickname.
func (s *Simulator) UserInfo(ctx context.Context, user, nickname string) (data Sealed, err error) {
	from := time.Now().Unix()
	err = s.call(ctx, http.MethodPost, "/sim/userinfo", url.Values{"user": {user}, "nickname": {nickname}}, &data)
	data.Watermark = Watermark{from, time.Now().Unix()}
	return data, err
}

// NewKey replaces a user's session_key.
func (s *Simulator) NewKey(ctx context.Context, user string) error {
	return s.call(ctx, http.MethodPost, "/sim/newkey", url.Values{"user": {user}}, &struct{}{})
}

// Bind gives a user a unionid, as if the mini-program were bound to an Open Platform account.
func (s *Simulator) Bind(ctx context.Context, user, unionID string) error {
	return s.call(ctx, http.MethodPost, "/sim/bind", url.Values{"user": {user}, "unionid": {unionID}}, &struct{}{})
}

// Account returns what the user's device never knows.
func (s *Simulator) Account(ctx context.Context, user string) (openID, sessionKey string, err error) {
	var answer struct{ OpenID, SessionKey string }
	err = s.call(ctx, http.MethodGet, "/sim/account", url.Values{"user": {user}}, &answer)
	return answer.OpenID, answer.SessionKey, err
}

// Fail makes the next n exchanges of codes fail.
func (s *Simulator) Fail(ctx context.Context, kind string, n int) error {
	return s.send(ctx, http.MethodPost, "/sim/fault", url.Values{"kind": {kind}, "n": {strconv.Itoa(n)}}, &struct{}{})
}

func (s *Simulator) call(ctx context.Context, method, path string, query url.Values, into any) error {
	if time.Since(time.Unix(0, s.failedAt.Load())) < s.CoolDown {
		return errCoolingDown
	}
	select {
	case s.InFlight <- struct{}{}:
		defer func() { <-s.InFlight }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.AppID != "" {
		query.Set("appid", s.AppID)
	}
	s.requests.Add(1)
	err := s.send(ctx, method, path, query, into)
	if err != nil && ctx.Err() == nil {
		s.failures.Add(1)
		s.failedAt.Store(time.Now().UnixNano())
	}
	return err
}

// send calls the simulator. The error holds nothing secret.
func (s *Simulator) send(ctx context.Context, method, path string, query url.Values, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, s.Base+path+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	resp, err := s.Client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the simulator answers %s with %d", path, resp.StatusCode)
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("the simulator's answer to %s is not JSON", path)
	}
	_, err = io.Copy(io.Discard, resp.Body) // so that the connection can be used again
	return err
}
