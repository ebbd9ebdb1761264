package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// promise is what the README's table says of a code.
type promise struct {
	status int
	action string
	met    bool // whether a phone that does nothing wrong may meet it here
}

var contract = map[string]promise{
	"invalid_request":        {400, "none", false},
	"invalid_code":           {400, "relogin", true},
	"invalid_token":          {401, "relogin", true},
	"user_blocked":           {403, "none", false},
	"not_found":              {404, "none", false},
	"method_not_allowed":     {405, "none", false},
	"request_too_large":      {413, "none", false},
	"unsupported_media_type": {415, "none", false},
	"undecryptable":          {422, "relogin", true},
	"rate_limited":           {429, "retry", false},
	"internal":               {500, "none", false},
	"wechat_unavailable":     {503, "retry", true},
	"misconfigured":          {503, "none", false},
	"storage_unavailable":    {503, "retry", true},
}

const tokenLength = 43

// contractFault says how an answer breaks the contract; "" where it keeps it.
func contractFault(e entry) string {
	if e.answer.status == 0 {
		return "" // no answer
	}
	if e.answer.requestID != e.requestID {
		return "the answer is another request's"
	}
	if e.ok() {
		return successFault(e)
	}
	var b problemBody
	if err := strict(e.answer.body, &b); err != nil {
		return "the body is not a problem: " + err.Error()
	}
	p, listed := contract[b.Code]
	switch {
	case !listed:
		return "a code that is not listed"
	case e.answer.status != p.status || b.Status != p.status:
		return fmt.Sprintf("%s has the statuses %d and %d", b.Code, e.answer.status, b.Status)
	case b.Action != p.action:
		return fmt.Sprintf("%s has the action %q", b.Code, b.Action)
	case !p.met:
		return b.Code + " is not to be met here"
	case !strings.HasPrefix(e.answer.contentType, "application/problem+json"):
		return b.Code + " is not problem+json"
	case b.RequestID != e.requestID || b.Title == "" || b.Detail == "" || b.Type == "":
		return b.Code + " is not whole"
	case (p.status == 401) != (e.answer.challenge == "Bearer"):
		return b.Code + " has the wrong WWW-Authenticate"
	}
	return retryAfterFault(b.Code, p, e.answer.retryAfter)
}

func retryAfterFault(code string, p promise, retryAfter string) string {
	seconds, err := strconv.Atoi(retryAfter)
	switch {
	case p.action != "retry" && retryAfter != "":
		return code + " has a Retry-After"
	case p.action == "retry" && (err != nil || seconds < 1):
		return code + " has no proper Retry-After"
	}
	return ""
}

func successFault(e entry) string {
	if !strings.HasPrefix(e.answer.contentType, "application/json") || e.answer.retryAfter != "" {
		return "200 is not plain JSON"
	}
	if e.route == onLogin {
		var b loginBody
		if err := strict(e.answer.body, &b); err != nil {
			return "200 of a login: " + err.Error()
		}
		if b.Status != 200 || len(b.Token) != tokenLength || b.ExpiresIn <= 0 {
			return "200 of a login is not whole"
		}
		return ""
	}
	var b updateBody
	if err := strict(e.answer.body, &b); err != nil {
		return "200 of an update: " + err.Error()
	}
	if b.Status != 200 || b.Anonymous || b.UserInfo.NickName == "" {
		return "200 of an update is not whole"
	}
	return ""
}

// strict reads a body that may have no other fields.
func strict(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	return d.Decode(into)
}
