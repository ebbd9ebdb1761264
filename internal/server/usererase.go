package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"wxlogin/internal/avatar"
	"wxlogin/internal/config"
	"wxlogin/internal/erasure"
	"wxlogin/internal/redisclient"
	"wxlogin/session"
	"wxlogin/store"
)

// erasureTools are what erases users: MySQL, Redis and the store of pictures.
type erasureTools struct {
	db      *store.DB
	redis   redis.UniversalClient
	avatars avatarStorage
	eraser  *erasure.Eraser
}

// openErasure opens all that an erase needs. The error is ErrMisconfigured if only another configuration can help. A Redis
// that is down is not an error.
func openErasure(ctx context.Context, c config.Erase, logger *slog.Logger) (*erasureTools, error) {
	t := &erasureTools{}
	err := t.open(ctx, c, logger)
	if err != nil {
		return nil, errors.Join(err, t.close())
	}
	return t, nil
}

func (t *erasureTools) open(ctx context.Context, c config.Erase, logger *slog.Logger) (err error) {
	if t.db, err = openMySQL(c.MySQLDSN, c.TLS, store.Options{Logger: logger}); err != nil {
		return err
	}
	if err = t.db.CheckTables(ctx); err == nil {
		err = t.db.CheckErase(ctx)
	}
	if err != nil {
		return databaseError(t.db, err)
	}
	tls, err := c.Redis.TLSConfig()
	if err != nil {
		return err
	}
	if t.redis, err = redisclient.New(redisclient.Options{Mode: c.Redis.Mode, URL: c.RedisURL, TLS: tls}); err != nil {
		return err
	}
	// Sessions end without the AppSecret, but a session.Store has at least one app.
	app := session.App{AppID: "none", Secret: rand.Text()}
	sessions, err := session.New(session.Options{Redis: t.redis, Apps: []session.App{app}, Logger: logger})
	if err != nil {
		return err
	}
	if err := checkRedis(ctx, t.redis, sessions, c.Redis.Mode); err != nil {
		return err
	}
	if t.avatars, err = openAvatars(c.Avatars); err != nil {
		return err
	}
	t.eraser = &erasure.Eraser{Users: t.db.Users(), Sessions: sessions, Logger: logger}
	if t.avatars.store != nil {
		t.eraser.Avatars = t.avatars.store
	}
	return nil
}

func (t *erasureTools) close() error {
	var errs []error
	if t.redis != nil {
		errs = append(errs, t.redis.Close())
	}
	if t.db != nil {
		errs = append(errs, t.db.Close())
	}
	return errors.Join(append(errs, t.avatars.close())...)
}

// workOff deletes the sessions and pictures of an erased user. It goes on if ctx ends.
func (t *erasureTools) workOff(ctx context.Context, userID uint64) (left int, err error) {
	return t.eraser.WorkOff(context.WithoutCancel(ctx), userID)
}

// UserErase says which user EraseUser erases.
type UserErase struct {
	ID            uint64 // that of a merged user stands for its survivor
	Reason, Actor string // for user_changes; "" = not said
	DryRun        bool   // say what would be erased, but change nothing
}

// EraseUser erases a user, as the server does: in MySQL, and then the sessions and pictures. It may be repeated, and goes
// on with an erase that was cut off. It says on out what it has done. If sessions or pictures are left, that is an error.
func EraseUser(ctx context.Context, c config.Erase, e UserErase, out io.Writer, logger *slog.Logger) (err error) {
	if e.DryRun {
		return withUsers(ctx, c.MySQLDSN, c.TLS, logger, func(users *store.Users) error {
			record, err := survivorRecord(ctx, users, e.ID)
			if err != nil {
				return err
			}
			return previewErase(ctx, users, e.ID, record, out)
		})
	}
	t, err := openErasure(ctx, c, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	return userError(databaseError(t.db, t.erase(ctx, e, out)))
}

func (t *erasureTools) erase(ctx context.Context, e UserErase, out io.Writer) error {
	users := t.db.Users()
	record, err := survivorRecord(ctx, users, e.ID)
	if err != nil {
		return err
	}
	cause := store.Cause{Reason: store.ReasonAdmin, Actor: e.Actor, Note: e.Reason}
	user, err := users.Erase(ctx, record.ID, cause)
	if err != nil {
		return err
	}
	printMerged(out, e.ID, user.ID)
	if record.Status == store.StatusErased {
		fmt.Fprintf(out, "user %d was erased before\n", user.ID)
	} else {
		fmt.Fprintf(out, "user %d is erased: %s\n", user.ID, erasedParts(record))
	}
	left, err := t.workOff(ctx, user.ID)
	if left == 0 && err == nil {
		_, err = fmt.Fprintln(out, "sessions and pictures: nothing is left")
		return err
	}
	return leftError(max(left, 1), err)
}

// leftError says how many deletions, each of the sessions of an identity or of a picture, are left.
func leftError(left int, err error) error {
	return fmt.Errorf("MySQL is done, but %d sessions or pictures are still to be deleted: run this again, or leave it to the "+
		"servers, which try every 10 seconds: %w", left, err)
}

func printMerged(out io.Writer, asked, survivor uint64) {
	if asked != survivor {
		fmt.Fprintf(out, "user %d was merged into user %d\n", asked, survivor)
	}
}

// previewErase says what an erase would delete.
func previewErase(ctx context.Context, users *store.Users, asked uint64, r store.Record, out io.Writer) error {
	printMerged(out, asked, r.ID)
	if r.Status != store.StatusErased {
		_, err := fmt.Fprintf(out, "user %d would be erased: %s\n", r.ID, erasedParts(r))
		return err
	}
	left, err := users.PendingDeletions(ctx, r.ID, 0, maxFound)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "user %d was erased before; sessions or pictures that would be deleted now: %d\n", r.ID, len(left))
	return err
}

// erasedParts lists what an erase deletes of a user.
func erasedParts(r store.Record) string {
	parts := []string{
		fmt.Sprintf("identities: %d, with all their sessions", len(r.Identities)),
		fmt.Sprintf("pictures: %d", countPictures(r)),
		"nickname: " + yesNo(r.NickName != ""),
		"phone number: " + yesNo(r.Phone != store.Phone{}),
	}
	if len(r.Merged) > 0 {
		ids := make([]string, len(r.Merged))
		for i, user := range r.Merged {
			ids[i] = fmt.Sprint(user.ID)
		}
		parts = append(parts, "users merged into it: "+strings.Join(ids, ", "))
	}
	return strings.Join(parts, "; ")
}

// countPictures counts the uploaded pictures of a user and of those merged into it.
func countPictures(r store.Record) int {
	var pictures []string
	for _, user := range append([]store.User{r.User}, r.Merged...) {
		if strings.HasPrefix(user.AvatarURL, avatar.Path) && !slices.Contains(pictures, user.AvatarURL) {
			pictures = append(pictures, user.AvatarURL)
		}
	}
	return len(pictures)
}
