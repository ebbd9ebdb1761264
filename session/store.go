package session

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Defaults of Options.
const (
	DefaultIdleTTL     = 7 * 24 * time.Hour
	DefaultMaxLifetime = 30 * 24 * time.Hour
	DefaultMaxPerUser  = 20
	DefaultKeyPrefix   = "wxlogin:"
)

// App is a mini-program whose sessions a Store keeps.
type App struct {
	AppID  string
	Secret string // the AppSecret: records are sealed under a key derived from it

	// PreviousSecret is the AppSecret that Secret has replaced. Records sealed under it can still be read. Optional; it
	// is ignored if it equals Secret. It can be removed once Options.MaxLifetime has passed since the change.
	PreviousSecret string
}

// Options configure a Store. Redis and Apps are required.
type Options struct {
	Redis redis.UniversalClient
	Apps  []App // at least one, each AppID once

	// AutoPipeline batches the commands of concurrent calls into shared round trips (go-redis's AutoPipeline). Under
	// load it saves a third of the CPU time of this process and of Redis; a lone call takes as long as without. Redis
	// must be a *redis.Client or a *redis.ClusterClient. It is incompatible with tracing: hooks of the client see the
	// commands of many calls as one pipeline, without the context of any of them.
	AutoPipeline bool

	// KeyPrefix begins every key that the Store writes. Stores with different prefixes do not see each other's sessions.
	// Default "wxlogin:". Printable ASCII without spaces and braces; the latter would put all keys into one slot of a
	// Redis Cluster.
	KeyPrefix string

	// IdleTTL is how long a session lives without use; every Lookup restarts it. Default 7 days, at least 1 second.
	IdleTTL time.Duration
	// MaxLifetime is how long a session lives in any case. Default 30 days, at least IdleTTL.
	MaxLifetime time.Duration
	// MaxPerUser is the number of sessions that a user may have in one app: once Create has returned, no more are
	// alive. Default 20, at least 1. When one more begins, ended ones leave the index. If there are still too many, the
	// least recently used ones end. If MaxPerUser is 8 or more, half of them are kept, so that a user who logs in often
	// does not make every login end one; if it is less, only those above it end.
	MaxPerUser int

	// ErrorHandler writes the response of Middleware to a request without a session. The error is ErrNotFound or
	// ErrUnavailable. Default WriteError.
	ErrorHandler func(w http.ResponseWriter, r *http.Request, err error)
	// Logger receives one warning per kind of invalid record. Default: discard.
	Logger *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

func (o *Options) setDefaults() {
	o.KeyPrefix = cmp.Or(o.KeyPrefix, DefaultKeyPrefix)
	o.IdleTTL = cmp.Or(o.IdleTTL, DefaultIdleTTL)
	o.MaxLifetime = cmp.Or(o.MaxLifetime, max(DefaultMaxLifetime, o.IdleTTL))
	o.MaxPerUser = cmp.Or(o.MaxPerUser, DefaultMaxPerUser)
	if o.ErrorHandler == nil {
		o.ErrorHandler = WriteError
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// validate reports all errors of the options at once.
func (o *Options) validate() error {
	var errs []error
	if o.Redis == nil {
		errs = append(errs, errors.New("session: no Redis client"))
	}
	if len(o.Apps) == 0 {
		errs = append(errs, errors.New("session: no app"))
	}
	if strings.ContainsFunc(o.KeyPrefix, func(r rune) bool { return r <= ' ' || r > '~' || r == '{' || r == '}' }) {
		errs = append(errs, errors.New("session: the key prefix has a space, a brace or a character that is not printable ASCII"))
	}
	if o.IdleTTL < time.Second {
		errs = append(errs, fmt.Errorf("session: idle expiry %v is less than a second", o.IdleTTL))
	}
	if o.MaxLifetime < o.IdleTTL {
		errs = append(errs, fmt.Errorf("session: absolute expiry %v is less than idle expiry %v", o.MaxLifetime, o.IdleTTL))
	}
	if o.MaxPerUser < 1 {
		errs = append(errs, fmt.Errorf("session: %d sessions a user", o.MaxPerUser))
	}
	return errors.Join(errs...)
}

// Store keeps sessions in Redis. It is safe for concurrent use and holds no session itself: any number of processes may
// share one Redis.
type Store struct {
	redis        redis.UniversalClient
	pipeliner    *redis.AutoPipeliner // nil: each command has its own round trip
	singleNode   bool                 // all keys are on one node, which keeps the order of a pipeline
	keys         keyPrefix
	probeID      string             // part of the keys of Ready, which no other Store shares
	sealers      map[string]*sealer // by appid: seal new records
	keyring      keyring            // unseals records
	idleTTL      time.Duration
	maxLifetime  time.Duration
	maxPerUser   int
	errorHandler func(http.ResponseWriter, *http.Request, error)
	now          func() time.Time
	logger       *slog.Logger
	warned       atomic.Uint32 // a bit for each recordError that was logged
}

// New returns a Store. It does not connect. All errors of the options are reported at once.
func New(o Options) (*Store, error) {
	o.setDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	_, singleNode := o.Redis.(*redis.Client) // one Redis, or one behind Sentinel
	s := &Store{
		redis: o.Redis, singleNode: singleNode, keys: keyPrefix(o.KeyPrefix), probeID: rand.Text(),
		sealers: make(map[string]*sealer), keyring: make(keyring),
		idleTTL: o.IdleTTL, maxLifetime: o.MaxLifetime, maxPerUser: o.MaxPerUser,
		errorHandler: o.ErrorHandler, now: o.Now, logger: o.Logger,
	}
	for _, app := range o.Apps {
		if err := s.addApp(app); err != nil {
			return nil, err
		}
	}
	if o.AutoPipeline {
		if err := s.enableAutoPipeline(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *Store) addApp(app App) error {
	if app.AppID == "" || app.Secret == "" {
		return errors.New("session: an app without appid or AppSecret")
	}
	if s.sealers[app.AppID] != nil {
		return fmt.Errorf("session: app %s is configured twice", app.AppID)
	}
	current, err := newSealer(app.AppID, app.Secret)
	if err != nil {
		return err
	}
	s.sealers[app.AppID] = current
	if err := s.keyring.add(current); err != nil {
		return err
	}
	if app.PreviousSecret == "" || app.PreviousSecret == app.Secret {
		return nil
	}
	previous, err := newSealer(app.AppID, app.PreviousSecret)
	if err != nil {
		return err
	}
	return s.keyring.add(previous)
}

// Lookup returns the session of a token and restarts its idle expiry, in one command.
//
// It returns ErrNotFound if the token is malformed (without a call to Redis), unknown, expired or revoked, or if Redis
// holds no valid record for it, and ErrUnavailable if Redis fails.
func (s *Store) Lookup(ctx context.Context, token string) (Session, error) {
	if !isWellFormed(token) {
		return Session{}, ErrNotFound
	}
	const op = "lookup"
	hash := hashToken(token)
	get := redis.NewStringCmd(ctx, "getex", s.keys.record(hash.text()), "px", s.idleTTL.Milliseconds())
	err := s.do(ctx, get)
	if s.isMiss(ctx, op, err) {
		return Session{}, ErrNotFound
	}
	if err != nil {
		return Session{}, unavailable(op, err)
	}
	sess, ok := s.unseal(ctx, op, []byte(get.Val()), hash)
	if !ok {
		return Session{}, ErrNotFound
	}
	return sess, nil
}

// IdleTTL returns how long a session lives without use.
func (s *Store) IdleTTL() time.Duration { return s.idleTTL }

// ExpiresAt returns when a session ends that was used just now and is not used again: after the idle expiry, or at its
// absolute expiry if that comes first.
func (s *Store) ExpiresAt(sess Session) time.Time {
	idle, absolute := s.now().Add(s.idleTTL), sess.CreatedAt.Add(s.maxLifetime)
	if absolute.Before(idle) {
		return absolute
	}
	return idle
}

// Age returns how long ago a session began, to the millisecond, as CreatedAt.
func (s *Store) Age(sess Session) time.Duration {
	return s.now().Truncate(time.Millisecond).Sub(sess.CreatedAt)
}

// expired reports whether a session has reached its absolute expiry.
func (s *Store) expired(sess Session) bool { return !s.now().Before(sess.CreatedAt.Add(s.maxLifetime)) }

// keyPrefix builds the keys of a Store.
type keyPrefix string

// record returns the key of a sealed record. hash is that of the token.
func (p keyPrefix) record(hash string) string { return string(p) + "session:" + hash }

// index returns the key of the sorted set of a user's sessions: the members are token hashes, the scores times of
// creation in microseconds. An appid has no colon, so two users never share a key.
func (p keyPrefix) index(appID, openID string) string {
	return string(p) + "sessions:" + appID + ":" + openID
}

// The two kinds of keys that Ready writes.
const (
	readyRecord = "record"
	readyIndex  = "index"
)

// ready returns a key of Ready. In a Cluster, keys with the same id and n are in one slot, and those with another n
// mostly in another slot.
func (p keyPrefix) ready(id string, n int, kind string) string {
	return string(p) + "ready:{" + id + ":" + strconv.Itoa(n) + "}:" + kind
}
