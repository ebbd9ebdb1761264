package handlers

import (
	"context"
	"time"

	"wxlogin/session"
	"wxlogin/store"
)

// Tokens tells what a token stands for, and until when. *session.Store is one.
type Tokens interface {
	Lookup(ctx context.Context, token string) (session.Session, error)
	ExpiresAt(sess session.Session) time.Time
}

// People finds a session's user for other services; what it answers may be some seconds old. *store.Users is one.
type People interface {
	FindOnReplica(ctx context.Context, appID, openID string) (store.User, error)
}

// tokenChecks answers other services whose token they were shown.
type tokenChecks struct {
	tokens         Tokens
	people         People
	metrics        *Metrics
	storageTimeout time.Duration
}

// holder is who a token stands for.
type holder struct {
	session session.Session
	user    store.User
	expires time.Time
}

// check finds the holder of a token, and starts the session's idle expiry again. A user who is not active is
// refused, as on the public listener.
func (c *tokenChecks) check(ctx context.Context, token string) (holder, error) {
	h, err := c.find(ctx, token)
	c.metrics.tokenCheck(err)
	return h, err
}

func (c *tokenChecks) find(ctx context.Context, token string) (holder, error) {
	sess, err := c.lookup(ctx, token)
	if err != nil {
		return holder{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.storageTimeout)
	defer cancel()
	user, err := c.people.FindOnReplica(ctx, sess.AppID, sess.OpenID)
	if err != nil {
		return holder{}, err
	}
	scopeOf(ctx).appID = sess.AppID
	return holder{sess, user, c.tokens.ExpiresAt(sess)}, refuseDisabled(ctx, user)
}

func (c *tokenChecks) lookup(ctx context.Context, token string) (session.Session, error) {
	ctx, cancel := context.WithTimeout(ctx, c.storageTimeout)
	defer cancel()
	return c.tokens.Lookup(ctx, token)
}
