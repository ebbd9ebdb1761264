package wechat

import (
	"context"
	"strings"
	"time"
)

const (
	apiStableToken = "stable_token"

	// WeChat asks to have room for 512 characters.
	maxAccessToken = 1024
	// WeChat gives at most 7200 s; a day is beyond anything that it could mean.
	maxTokenSeconds = 24 * 60 * 60
)

// StableToken gets the mini-program's access_token, by POST /cgi-bin/stable_token. It is a secret like the AppSecret.
//
// WeChat gives the same token while it is valid, with the time that remains (up to two hours), and a new one from 5 minutes
// before the end of the old one, which stays valid meanwhile. With force it gives a new one at once and ends the old one:
// for a token that has leaked or is refused, at most 20 times a day and once in 30 s.
//
// The error is an *Error, as that of Code2Session.
func (c *Client) StableToken(ctx context.Context, force bool) (token string, expiresIn time.Duration, err error) {
	body := encodeBody(struct {
		GrantType    string `json:"grant_type"`
		AppID        string `json:"appid"`
		Secret       string `json:"secret"`
		ForceRefresh bool   `json:"force_refresh"`
	}{"client_credential", c.appID, string(c.secret), force})
	var answer tokenAnswer
	if err := c.call(ctx, request{api: apiStableToken, path: "/cgi-bin/stable_token", body: body}, &answer); err != nil {
		return "", 0, err
	}
	return answer.AccessToken, time.Duration(answer.ExpiresIn) * time.Second, nil
}

type tokenAnswer struct {
	AccessToken string
	ExpiresIn   int64 // seconds
}

func (a *tokenAnswer) read(o object) (missing []string) {
	a.AccessToken, _ = o.exactText("access_token")
	a.ExpiresIn = o.integer("expires_in")
	if a.AccessToken == "" || len(a.AccessToken) > maxAccessToken || strings.ContainsFunc(a.AccessToken, notPrintableASCII) {
		missing = append(missing, "access_token")
	}
	if a.ExpiresIn <= 0 || a.ExpiresIn > maxTokenSeconds {
		missing = append(missing, "expires_in")
	}
	return missing
}
