package client

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Token is what an active token stands for.
type Token struct {
	UserID     uint64 // the id to store: one for a person in all mini-programs. After a merge it may be another, see Changes
	AppID      string // the mini-program
	OpenID     string // the person in that mini-program
	UnionID    string // "" if it is not known
	ExternalID string // what SetExternalID has set; "" if there is none

	IssuedAt  time.Time // when the session began
	ExpiresAt time.Time // when it ends if the token is not used again
}

// Introspect returns whose token it is, and restarts its session's idle time. It returns ErrInvalidToken for a token
// that is malformed (without a request), unknown, expired or revoked, and for one of a user who is disabled or erased.
// Any other error says nothing about the token.
func (c *Client) Introspect(ctx context.Context, token string) (Token, error) {
	if !isWellFormed(token) {
		return Token{}, ErrInvalidToken
	}
	if known, ok := c.cache.get(token); ok {
		return known, nil
	}
	var resp introspection
	r := call{op: "Introspect", method: http.MethodPost, path: "introspect", form: url.Values{"token": {token}}}
	if err := c.do(ctx, r, &resp); err != nil {
		return Token{}, err
	}
	if !*resp.Active {
		return Token{}, ErrInvalidToken
	}
	known := resp.token()
	c.cache.put(token, known)
	return known, nil
}

// isWellFormed reports whether a token looks like one of the server: 43 characters of base64url. Nothing else is worth a
// request.
func isWellFormed(token string) bool {
	const base64url = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
	return len(token) == 43 && strings.Trim(token, base64url) == ""
}

// introspection is the response of POST /introspect.
type introspection struct {
	Active     *bool  `json:"active"`
	UserID     uint64 `json:"sub,string"`
	AppID      string `json:"client_id"`
	OpenID     string `json:"openid"`
	UnionID    string `json:"unionid"`
	ExternalID string `json:"external_id"`
	IssuedAt   int64  `json:"iat"`
	ExpiresAt  int64  `json:"exp"`
}

func (i *introspection) valid() bool {
	return i.Active != nil && (!*i.Active || i.UserID != 0 && i.AppID != "" && i.OpenID != "" && i.ExpiresAt != 0)
}

func (i *introspection) token() Token {
	return Token{
		UserID: i.UserID, AppID: i.AppID, OpenID: i.OpenID, UnionID: i.UnionID, ExternalID: i.ExternalID,
		IssuedAt: time.Unix(i.IssuedAt, 0).UTC(), ExpiresAt: time.Unix(i.ExpiresAt, 0).UTC(),
	}
}
