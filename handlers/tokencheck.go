package handlers

import (
	"context"
	"time"

	"wxlogin/session"
	"wxlogin/store"
)

// tokenChecks answers other services whose token they were shown.
type tokenChecks struct {
	sessions       Sessions
	users          Users
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
	user, err := c.users.FindOnReplica(ctx, sess.AppID, sess.OpenID)
	if err != nil {
		return holder{}, err
	}
	scopeOf(ctx).appID = sess.AppID
	return holder{sess, user, c.sessions.ExpiresAt(sess)}, refuseDisabled(ctx, user)
}

func (c *tokenChecks) lookup(ctx context.Context, token string) (session.Session, error) {
	ctx, cancel := context.WithTimeout(ctx, c.storageTimeout)
	defer cancel()
	return c.sessions.Lookup(ctx, token)
}
