package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// Sign returns WeChat's signature of data, 1 byte to 16 KiB: HMAC-SHA256 with the person's newest session_key, in hex. The key
// stays on the server. The errors are those of Introspect, ErrBlocked, and ErrInvalidRequest for other lengths.
func (c *Client) Sign(ctx context.Context, token, data string) (signature string, err error) {
	var resp signResponse
	r := call{op: "Sign", method: http.MethodPost, path: "sign", form: url.Values{"token": {token}, "data": {data}}}
	err = c.do(ctx, r, &resp)
	return resp.Signature, err
}

type signResponse struct {
	Signature string `json:"signature"`
}

func (r *signResponse) valid() bool { return r.Signature != "" }

// Decrypt returns the object that WeChat has encrypted for the token's owner (encryptedData and iv of wx.getWeRunData,
// wx.getGroupEnterInfo and others), with its numbers as they are. It returns ErrUndecryptable if it cannot be decrypted or is
// another person's or mini-program's, and ErrRateLimited after too many of these. The other errors are those of Sign.
func (c *Client) Decrypt(ctx context.Context, token, encryptedData, iv string) (json.RawMessage, error) {
	var resp decryptResponse
	form := url.Values{"token": {token}, "encryptedData": {encryptedData}, "iv": {iv}}
	err := c.do(ctx, call{op: "Decrypt", method: http.MethodPost, path: "decrypt", form: form}, &resp)
	return resp.Data, err
}

type decryptResponse struct {
	Data json.RawMessage `json:"data"`
}

func (r *decryptResponse) valid() bool { return len(r.Data) > 0 && r.Data[0] == '{' }

// AccessToken returns the access_token of a mini-program ("" means the server's first one) for WeChat's API, and for how
// long it is valid. All instances of the server share it. The server must run with ACCESS_TOKEN_API=on, or else this is
// ErrNotFound.
func (c *Client) AccessToken(ctx context.Context, appID string) (token string, expiresIn time.Duration, err error) {
	return c.accessToken(ctx, call{
		op: "AccessToken", method: http.MethodGet, path: "accessToken", query: url.Values{"appid": {appID}}, asksWeChat: true,
	})
}

// RefreshAccessToken returns another access_token after WeChat has refused one (40001, 42001). The server makes a new one only
// if refused is still its current one, and at most once a minute; otherwise it returns the current one.
func (c *Client) RefreshAccessToken(ctx context.Context, appID, refused string) (token string, expiresIn time.Duration, err error) {
	return c.accessToken(ctx, call{
		op: "RefreshAccessToken", method: http.MethodPost, path: "accessToken",
		form: url.Values{"appid": {appID}, "refused": {refused}}, asksWeChat: true,
	})
}

func (c *Client) accessToken(ctx context.Context, r call) (token string, expiresIn time.Duration, err error) {
	var resp accessTokenResponse
	err = c.do(ctx, r, &resp)
	return resp.AccessToken, time.Duration(resp.ExpiresIn) * time.Second, err
}

type accessTokenResponse struct {
	AccessToken string `json:"access_token"`
	ExpiresIn   int64  `json:"expires_in"`
}

func (r *accessTokenResponse) valid() bool { return r.AccessToken != "" && r.ExpiresIn > 0 }
