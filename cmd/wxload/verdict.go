package main

import (
	"net/http"

	"wxlogin/internal/contract"
)

// fault is a way in which an answer is wrong.
type fault string

// The faults.
const (
	outsideContract   fault = "outside_contract"    // not what README promises: status, type, body, request id, code, action
	othersProfile     fault = "others_profile"      // a profile that this user never had
	staleProfile      fault = "stale_profile"       // an earlier one of this user, or not what was just sent
	newTwice          fault = "new_twice"           // isNewUser for somebody who is known
	otherIdentity     fault = "other_identity"      // an introspection that names another user or mini-program
	activeAfterLogout fault = "active_after_logout" // a token that works after its session was ended
)

// verdict is what an answer turned out to be.
type verdict struct {
	code       string // of an error: a problem's, or refused, cut or timed_out; "" where the request succeeded
	action     string // what the error advises
	retryAfter int    // seconds

	fault fault  // "" unless the answer is wrong; it is no error then
	why   string // constant text: of what kind the fault is
}

func wrong(f fault, why string) verdict { return verdict{fault: f, why: why} }

// ok tells whether the request did what it was to do.
func (v verdict) ok() bool { return v.code == "" && v.fault == "" }

// unknownEnd tells whether the server may have done, or may still do, what it was asked for.
func (v verdict) unknownEnd(r reply) bool {
	if r.failure != "" {
		return r.failure != refused
	}
	return !v.ok() && (r.answer.Status >= http.StatusInternalServerError || v.fault == outsideContract)
}

// judge reads what is no success. Where it is one, done is false.
func judge(r reply) (v verdict, done bool) {
	if r.failure != "" {
		return verdict{code: r.failure, action: contract.None}, true
	}
	if r.answer.Status == http.StatusOK {
		return verdict{}, false
	}
	p, err := contract.ReadProblem(r.answer, r.requestID)
	if err != nil {
		return wrong(outsideContract, err.Error()), true
	}
	return verdict{code: p.Code, action: p.Action, retryAfter: p.RetryAfter}, true
}
