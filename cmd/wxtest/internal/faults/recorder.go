package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"wxlogin/cmd/wxtest/internal/player"
	"wxlogin/cmd/wxtest/internal/process"
	"wxlogin/cmd/wxtest/internal/report"
)

// span is a period, in time since the start of the load.
type span struct{ sent, ended time.Duration }

// request is one request and what came of it.
type request struct {
	span
	server    string
	route     player.Route
	user      string
	longLived bool // not sent by the load

	revision  int // of an update: of its nickname
	watermark player.Watermark
	session   span // of an update: of the login that returned its token

	reply player.Reply
}

func (r request) ok() bool { return r.reply.Status == 200 }

// answered reports whether there is a whole response.
func (r request) answered() bool { return r.reply.Status != 0 }

// failed reports whether a request got no response or a 5xx.
func (r request) failed() bool { return !r.answered() || r.reply.Status >= 500 }

// uncertain reports whether an update may have been done although no response says so.
func (r request) uncertain() bool { return r.failed() && !r.refused() }

// refused reports whether no connection was made.
func (r request) refused() bool { return r.reply.Failure == player.Refused }

// cut reports whether part of a response arrived.
func (r request) cut() bool { return r.reply.Failure != "" && r.reply.Begun }

// connectionLost reports whether a request was sent, wholly or in part, and not a byte came back.
func (r request) connectionLost() bool {
	return r.reply.Failure != "" && !r.refused() && !r.reply.Begun
}

// body returns the body of a success, as far as it can be read: the check of the contract finds what cannot.
func (r request) body() (b player.Body) {
	json.Unmarshal(r.reply.Body, &b)
	return b
}

// problem returns the body of an error.
func (r request) problem() (p player.Problem) {
	json.Unmarshal(r.reply.Body, &p)
	return p
}

// describe returns what may be shown of a request.
func (r request) describe() string {
	text := fmt.Sprintf("%s of %s to %s, sent at %s, took %s, ",
		r.route, r.user, r.server, report.Seconds(r.sent), report.Seconds(r.ended-r.sent))
	switch {
	case r.refused():
		return text + "no connection"
	case r.connectionLost():
		return text + "connection lost"
	case r.cut():
		return text + "response cut"
	case r.ok():
		return text + "200"
	}
	return text + fmt.Sprintf("%d %s", r.reply.Status, r.problem().Code)
}

// secret is a kind of secret, for messages that may not show it.
type secret string

const (
	secretToken    secret = "token"
	secretCode     secret = "code"
	secretKey      secret = "session_key"
	secretApp      secret = "AppSecret"
	secretPassword secret = "password of MySQL"
	secretOpenID   secret = "openid"
)

// recorder keeps all requests, and the secrets. Its methods are safe for concurrent use.
type recorder struct {
	start time.Time
	mu    sync.Mutex
	results
	failed time.Duration // when the last failed request ended
}

func newRecorder() *recorder {
	return &recorder{start: time.Now(), results: results{
		openIDs: map[string]string{}, erased: map[string]bool{}, secrets: map[string]secret{appSecret: secretApp, databasePassword: secretPassword},
	}}
}

func (r *recorder) now() time.Duration { return time.Since(r.start) }

func (r *recorder) add(one request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, one)
	if one.failed() {
		r.failed = max(r.failed, one.ended)
	}
}

// lastFailed returns when the last failed request ended.
func (r *recorder) lastFailed() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

func (r *recorder) addSecret(kind secret, value string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secrets[value] = kind
}

func (r *recorder) addUser(user, openID string) {
	r.addSecret(secretOpenID, openID)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.openIDs[user] = openID
}

// addErased notes that a user was erased, or may have been.
func (r *recorder) addErased(user string, certain bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.erased[user] = certain
}

// A busy or virtual machine sometimes pauses for seconds, with everything on it. That is not the servers' time.
const (
	heartbeat = 20 * time.Millisecond
	minPause  = 100 * time.Millisecond
)

// watchPauses notes when this goroutine, which sleeps almost always, wakes far too late.
func (r *recorder) watchPauses(ctx context.Context) {
	for last := r.now(); process.Sleep(ctx, heartbeat); {
		now := r.now()
		if now-last > heartbeat+minPause {
			r.mu.Lock()
			r.pauses = append(r.pauses, span{last + heartbeat, now})
			r.mu.Unlock()
		}
		last = now
	}
}
