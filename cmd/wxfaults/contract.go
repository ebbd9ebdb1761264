package main

import "wxlogin/internal/contract"

// met are the codes that a phone which does nothing wrong may meet here.
var met = map[string]bool{
	"invalid_code":        true,
	"invalid_token":       true,
	"undecryptable":       true,
	"wechat_unavailable":  true,
	"storage_unavailable": true,
}

// contractFault says how an answer breaks the contract; "" where it keeps it.
func contractFault(e entry) string {
	if e.answer.status == 0 {
		return "" // no answer
	}
	a := contract.Response{
		Status: e.answer.status, ContentType: e.answer.contentType, RetryAfter: e.answer.retryAfter,
		Challenge: e.answer.challenge, RequestID: e.answer.requestID, Body: e.answer.body,
	}
	if e.ok() {
		return successFault(e, a)
	}
	p, err := contract.ReadProblem(a, e.requestID)
	switch {
	case err != nil:
		return err.Error()
	case !met[p.Code]:
		return p.Code + " is not to be met here"
	}
	return ""
}

func successFault(e entry, a contract.Response) string {
	if e.route == onLogin {
		if _, err := contract.ReadLogin(a, e.requestID); err != nil {
			return "login: " + err.Error()
		}
		return ""
	}
	b, err := contract.ReadUpdate(a, e.requestID)
	switch {
	case err != nil:
		return "update: " + err.Error()
	case b.Anonymous || b.UserInfo.NickName == "":
		return "update: the profile is not what was sent"
	}
	return ""
}
