// Package erasure erases users and removes parts of them: in MySQL, and then their sessions in Redis and their pictures.
//
//	eraser := &erasure.Eraser{Users: db.Users(), Sessions: sessions, Avatars: folder, Logger: logger}
//	go eraser.Run(ctx) // finishes what was cut off
//	user, err := eraser.Erase(ctx, id, store.Cause{Reason: store.ReasonAdmin})
//
// MySQL's transaction decides: once it has committed, the user is erased, and it has listed what is to be deleted
// elsewhere. What fails after that stays on the list, for the next attempt of any process.
package erasure

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"wxlogin/internal/avatar"
	"wxlogin/store"
)

// errNoAvatars means that a picture cannot be deleted by this process.
var errNoAvatars = errors.New("erasure: a picture is to be deleted, but uploads are not configured")

// DefaultTimeout is the default of Eraser.Timeout.
const DefaultTimeout = time.Second

const (
	// retryInterval is how often Run works off what is left of the list.
	retryInterval = 10 * time.Second

	// batchSize is how many deletions are read at a time.
	batchSize = 100

	// stepTimeout bounds the deletion of the sessions of an identity, or of a picture.
	stepTimeout = 2 * time.Second
)

// Users are the users in MySQL. *store.Users implements it.
type Users interface {
	Erase(ctx context.Context, id uint64, c store.Cause) (store.User, error)
	EraseIdentity(ctx context.Context, appID, openID string, before time.Time, c store.Cause) (store.User, error)
	Remove(ctx context.Context, appID, openID string, r store.Removal, c store.Cause) (store.User, error)
	PendingDeletions(ctx context.Context, userID, after uint64, limit int) ([]store.Deletion, error)
	DeletionDone(ctx context.Context, id uint64) error
}

// Sessions are the sessions in Redis. *session.Store implements it.
type Sessions interface {
	RevokeAll(ctx context.Context, appID, openID string) error
}

// Avatars are the uploaded pictures. *avatar.Folder and *avatar.S3 implement it.
type Avatars interface {
	Delete(ctx context.Context, path string) error
}

// Eraser erases users. It is safe for concurrent use.
type Eraser struct {
	Users    Users
	Sessions Sessions
	Avatars  Avatars // nil: pictures stay on the list
	Logger   *slog.Logger

	// Timeout bounds how long a call waits, after MySQL's commit, for sessions to end and pictures to be deleted. Default
	// DefaultTimeout. What is left then is left to Run.
	Timeout time.Duration
}

// Erase erases the user with this id: see [store.Users.Erase]. An error means that the user is not erased, as far as is
// known. It may be repeated.
func (e *Eraser) Erase(ctx context.Context, id uint64, c store.Cause) (store.User, error) {
	user, err := e.Users.Erase(ctx, id, c)
	return e.finish(ctx, user, err)
}

// EraseIdentity erases the user with this identity: see [store.Users.EraseIdentity].
func (e *Eraser) EraseIdentity(ctx context.Context, appID, openID string, before time.Time, c store.Cause) (store.User, error) {
	user, err := e.Users.EraseIdentity(ctx, appID, openID, before, c)
	return e.finish(ctx, user, err)
}

// Remove removes a part of the user with this identity: see [store.Users.Remove].
func (e *Eraser) Remove(ctx context.Context, appID, openID string, r store.Removal, c store.Cause) (store.User, error) {
	user, err := e.Users.Remove(ctx, appID, openID, r, c)
	return e.finish(ctx, user, err)
}

// finish works off the list of a user. It goes on if the caller is gone: what is erased in MySQL should be gone
// elsewhere.
func (e *Eraser) finish(ctx context.Context, user store.User, err error) (store.User, error) {
	if err != nil {
		return user, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cmp.Or(e.Timeout, DefaultTimeout))
	defer cancel()
	if left, err := e.WorkOff(ctx, user.ID); err != nil || left > 0 {
		e.Logger.WarnContext(ctx, "erasure: sessions or pictures of a user are still to be deleted; will retry",
			"user", user.ID, "left", left, "error", err)
	}
	return user, nil
}

// Run works off the list at once and then every ten seconds, until ctx ends.
func (e *Eraser) Run(ctx context.Context) {
	ticker := time.NewTicker(retryInterval)
	defer ticker.Stop()
	e.run(ctx, ticker.C)
}

func (e *Eraser) run(ctx context.Context, due <-chan time.Time) {
	failing := false
	for {
		left, err := e.WorkOff(ctx, 0)
		failed := left > 0 // that MySQL is down is reported elsewhere
		if failed && !failing && ctx.Err() == nil {
			e.Logger.WarnContext(ctx, "erasure: sessions or pictures of erased users are still to be deleted; will retry",
				"left", left, "error", err)
		}
		failing = failed
		select {
		case <-due:
		case <-ctx.Done():
			return
		}
	}
}

// WorkOff deletes what is on the list for a user or, if userID is 0, for all, and returns how many deletions failed. The
// error is one of reading the list, or the last one of a deletion.
func (e *Eraser) WorkOff(ctx context.Context, userID uint64) (left int, err error) {
	var last uint64
	var failure error
	for {
		deletions, err := e.Users.PendingDeletions(ctx, userID, last, batchSize)
		if err != nil {
			return left, err
		}
		for _, d := range deletions {
			last = d.ID
			if err := e.delete(ctx, d); err != nil {
				left, failure = left+1, err
			}
		}
		if len(deletions) < batchSize {
			return left, failure
		}
	}
}

// delete deletes what one row of the list names, and then the row.
func (e *Eraser) delete(ctx context.Context, d store.Deletion) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	var err error
	switch {
	case d.AvatarURL == "":
		err = e.Sessions.RevokeAll(ctx, d.AppID, d.OpenID)
	case e.Avatars == nil && strings.HasPrefix(d.AvatarURL, avatar.Path):
		err = errNoAvatars
	case e.Avatars != nil:
		err = e.Avatars.Delete(ctx, d.AvatarURL)
	}
	if err != nil {
		return err
	}
	return e.Users.DeletionDone(ctx, d.ID)
}
