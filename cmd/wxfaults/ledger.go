package main

import (
	"encoding/json"
	"sync"
	"time"

	"wxlogin/internal/contract"
)

// entry is one request and what came of it.
type entry struct {
	sent, ended time.Duration // since the start of the load
	server      string
	route       route
	user        string
	requestID   string
	keeper      bool // sent by the keepers, not by the load

	revision int    // of an update: which nickname it carries
	sealed   seal   // of an update
	session  origin // of an update: where its token is from

	answer answer
}

// origin is the login that gave a token.
type origin struct{ sent, ended time.Duration }

// seal is when data was encrypted, in Unix seconds at the beginning and at the end of the call: its watermark is one of
// them, or one in between.
type seal struct{ from, to int64 }

// maybeSameSecond reports whether two watermarks may be equal.
func (s seal) maybeSameSecond(other seal) bool { return s.from <= other.to && other.from <= s.to }

func (e entry) ok() bool { return e.answer.status == 200 }

// due reports whether an entry is what clients get of a fault: no answer, or one of the 5xx.
func (e entry) due() bool { return e.answer.status == 0 || e.answer.status >= 500 }

// unknown reports whether an update may have been done although nobody said so.
func (e entry) unknown() bool { return e.due() && e.answer.outcome != refused }

// ledger is all that was said, and the secrets that may not be. It is safe for concurrent use.
type ledger struct {
	start time.Time

	mu      sync.Mutex
	entries []entry
	people  map[string]string // openid by user
	secrets map[string]secretKind
	stalls  []span
	lastDue time.Duration
}

// secretKind says what a secret is, for messages that may not show it.
type secretKind string

const (
	secretToken    secretKind = "token"
	secretCode     secretKind = "code"
	secretKey      secretKind = "session_key"
	secretApp      secretKind = "AppSecret"
	secretPassword secretKind = "password of MySQL"
	secretOpenID   secretKind = "openid"
)

func newLedger() *ledger {
	return &ledger{
		start: time.Now(), people: map[string]string{},
		secrets: map[string]secretKind{appSecret: secretApp, databasePassword: secretPassword},
	}
}

func (l *ledger) now() time.Duration { return time.Since(l.start) }

func (l *ledger) add(e entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, e)
	if e.due() {
		l.lastDue = max(l.lastDue, e.ended)
	}
}

// quietSince returns when the last answer that was due to a fault ended.
func (l *ledger) quietSince() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lastDue
}

func (l *ledger) secret(kind secretKind, value string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.secrets[value] = kind
}

func (l *ledger) person(user, openID string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.people[user] = openID
	l.secrets[openID] = secretOpenID
}

// login reads the answer of a login that succeeded.
func (e entry) login() (b contract.Login) {
	json.Unmarshal(e.answer.body, &b) // what cannot be read is the contract's check to find
	return b
}

// problem reads an error answer.
func (e entry) problem() (b contract.Problem) {
	json.Unmarshal(e.answer.body, &b)
	return b
}

// nickname is the one that a successful answer shows.
func (e entry) nickname() string {
	var b struct{ UserInfo contract.UserInfo }
	json.Unmarshal(e.answer.body, &b)
	return b.UserInfo.NickName
}
