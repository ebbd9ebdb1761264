package session

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Defaults of Options.
const (
	DefaultIdleTTL    = 7 * 24 * time.Hour
	DefaultMaxTTL     = 30 * 24 * time.Hour
	DefaultMaxPerUser = 20
)

// App is a mini-program whose sessions a Store keeps.
type App struct {
	AppID  string
	Secret string // the AppSecret: records are sealed under a key derived from it

	// PreviousSecret is the AppSecret that Secret has replaced: records sealed under it still open. Optional; the same as
	// Secret is none. Once Options.MaxTTL has passed since the change it opens nothing that lives, and may go.
	PreviousSecret string
}

// Options are the parts and limits of a Store.
type Options struct {
	Redis redis.UniversalClient // required
	Apps  []App                 // required, at least one, each AppID once

	// AutoPipeline has what calls at the same time ask of Redis go there together, by go-redis's AutoPipeline: under load that
	// takes a third of the time of this process and of Redis. A lone call takes as long as ever. Redis must be a
	// *redis.Client or a *redis.ClusterClient; hooks of it then see the commands of many calls as one pipeline, without a
	// call's context, so it does not go with tracing.
	AutoPipeline bool

	// IdleTTL is how long a session lives without use; every Lookup begins it anew. Default 7 days, at least 1 second.
	IdleTTL time.Duration
	// MaxTTL is how long a session lives in any case. Default 30 days, at least IdleTTL.
	MaxTTL time.Duration
	// MaxPerUser is how many sessions a user may have in one app: never more are alive once Create has returned. Default 20,
	// at least 1. When one more begins, those that have ended leave the index. If more than MaxPerUser are alive still, the
	// least recently used ones end: from 8 on, half of MaxPerUser is kept, so that a user who logs in often does not cost
	// every login more; below that, as many end as are too many.
	MaxPerUser int
	// Now tells the time. Default time.Now.
	Now func() time.Time
	// Logger is told, at level Warn, of the first thing of each kind that stands in Redis where the Store writes and that
	// is none of its own. Default: nobody is told.
	Logger *slog.Logger
}

func (o *Options) setDefaults() {
	if o.IdleTTL == 0 {
		o.IdleTTL = DefaultIdleTTL
	}
	if o.MaxTTL == 0 {
		o.MaxTTL = max(DefaultMaxTTL, o.IdleTTL)
	}
	if o.MaxPerUser == 0 {
		o.MaxPerUser = DefaultMaxPerUser
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// validate reports every fault at once.
func (o *Options) validate() error {
	var faults []error
	if o.Redis == nil {
		faults = append(faults, errors.New("session: no Redis client"))
	}
	if len(o.Apps) == 0 {
		faults = append(faults, errors.New("session: no app"))
	}
	if o.IdleTTL < time.Second {
		faults = append(faults, fmt.Errorf("session: idle expiry %v is less than a second", o.IdleTTL))
	}
	if o.MaxTTL < o.IdleTTL {
		faults = append(faults, fmt.Errorf("session: absolute expiry %v is less than idle expiry %v", o.MaxTTL, o.IdleTTL))
	}
	if o.MaxPerUser < 1 {
		faults = append(faults, fmt.Errorf("session: %d sessions a user", o.MaxPerUser))
	}
	return errors.Join(faults...)
}

// Store keeps sessions in Redis. It is safe for concurrent use and keeps no session itself: any number of processes may
// share one Redis.
type Store struct {
	redis      redis.UniversalClient
	id         string               // in the keys of Ready: those of other Stores are others
	trips      *redis.AutoPipeliner // nil: each command has a round trip of its own
	oneNode    bool                 // all keys live on one node, which keeps the order of a pipeline
	byApp      map[string]*sealer   // what new records are sealed with
	keys       keyring              // what records open with
	idleTTL    time.Duration
	maxTTL     time.Duration
	maxPerUser int
	now        func() time.Time
	logger     *slog.Logger
	kindsMet   atomic.Uint32 // a bit for each kind of foreign that was logged
}

// New makes a Store. It opens no connection; every fault of the options is reported at once.
func New(o Options) (*Store, error) {
	o.setDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	_, oneNode := o.Redis.(*redis.Client) // one Redis, or one behind Sentinel
	s := &Store{
		redis: o.Redis, id: rand.Text(), oneNode: oneNode, byApp: make(map[string]*sealer), keys: make(keyring),
		idleTTL: o.IdleTTL, maxTTL: o.MaxTTL, maxPerUser: o.MaxPerUser, now: o.Now, logger: o.Logger,
	}
	for _, app := range o.Apps {
		if err := s.addApp(app); err != nil {
			return nil, err
		}
	}
	if o.AutoPipeline {
		if err := s.shareTrips(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *Store) addApp(app App) error {
	if app.AppID == "" || app.Secret == "" {
		return errors.New("session: an app without appid or AppSecret")
	}
	if s.byApp[app.AppID] != nil {
		return fmt.Errorf("session: app %s is given twice", app.AppID)
	}
	current, err := newSealer(app.AppID, app.Secret)
	if err != nil {
		return err
	}
	s.byApp[app.AppID] = current
	if err := s.keys.add(current); err != nil {
		return err
	}
	if app.PreviousSecret == "" || app.PreviousSecret == app.Secret {
		return nil
	}
	previous, err := newSealer(app.AppID, app.PreviousSecret)
	if err != nil {
		return err
	}
	return s.keys.add(previous)
}

// IdleTTL is how long a session lives without use.
func (s *Store) IdleTTL() time.Duration { return s.idleTTL }

// ExpiresAt is when a session that was used just now ends unless it is used again: after the idle time to live, or at the
// absolute expiry where that comes first.
func (s *Store) ExpiresAt(sess Session) time.Time {
	idle, absolute := s.now().Add(s.idleTTL), sess.CreatedAt.Add(s.maxTTL)
	if absolute.Before(idle) {
		return absolute
	}
	return idle
}

// expired tells whether a session has reached its absolute expiry.
func (s *Store) expired(sess Session) bool { return !s.now().Before(sess.CreatedAt.Add(s.maxTTL)) }

// KeyPrefix begins every key that this package writes.
const KeyPrefix = "wxlogin:"

// recordKey is where the sealed record of one session stands.
func recordKey(hash string) string { return KeyPrefix + "session:" + hash }

// indexKey is where the sorted set of a user's sessions stands: members are token hashes, scores the time of creation
// in microseconds. An appid has no colon, so two users never share a key.
func indexKey(appID, openID string) string { return KeyPrefix + "sessions:" + appID + ":" + openID }

// The two kinds of keys that Ready writes.
const (
	readyRecord = "record"
	readyIndex  = "index"
)

// readyKey is where Ready of the Store id writes. Keys with the same number n are in one slot of a Cluster, those with
// another mostly in another.
func readyKey(id string, n int, kind string) string {
	return KeyPrefix + "ready:{" + id + ":" + strconv.Itoa(n) + "}:" + kind
}

// Lookup finds the session that a token stands for and begins its idle expiry anew, in one command.
//
// ErrNotFound: malformed (told without asking Redis), unknown, expired or revoked, or a value in Redis that is not a
// record of ours. ErrUnavailable: Redis could not be asked.
func (s *Store) Lookup(ctx context.Context, token string) (Session, error) {
	if !wellFormed(token) {
		return Session{}, ErrNotFound
	}
	const op = "lookup"
	hash := hashToken(token)
	get := redis.NewStringCmd(ctx, "getex", recordKey(hash.text()), "px", s.idleTTL.Milliseconds())
	err := s.send(ctx, get)
	if s.missing(ctx, op, err) {
		return Session{}, ErrNotFound
	}
	if err != nil {
		return Session{}, unavailable(op, err)
	}
	sess, ok := s.open(ctx, op, []byte(get.Val()), hash)
	if !ok {
		return Session{}, ErrNotFound
	}
	return sess, nil
}

// open opens a record; ok is false where it is none of ours or has reached its absolute expiry.
func (s *Store) open(ctx context.Context, op string, sealed []byte, hash tokenHash) (sess Session, ok bool) {
	sess, err := s.keys.open(sealed, hash)
	if err != nil {
		s.met(ctx, op, err)
		return Session{}, false
	}
	return sess, !s.expired(sess)
}
