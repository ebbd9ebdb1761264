package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"unicode"

	"wxlogin/internal/avatar"
	"wxlogin/internal/config"
	"wxlogin/store"
)

// Errors of UserAdmin and EraseUser that are the operator's to solve. They contain nothing of a user.
var (
	errNoUser       = errors.New("there is no user with this id")
	errNoneFound    = errors.New("no user found")
	errErased       = errors.New("the user is erased")
	errMergedCircle = errors.New("users.merged_into makes a circle")
)

const (
	// maxFound is how many users Find prints.
	maxFound = 100

	// maxMerges bounds how many merges are followed from a user to its survivor.
	maxMerges = 100
)

// UserQuery says which users UserAdmin.Find finds. One field is set; Phone is what PhoneDigits returns.
type UserQuery = store.Query

// PhoneDigits returns the digits of a phone number as people write it, such as 13800138000 or +86 138-0013-8000. ok is
// false if it is not a phone number.
func PhoneDigits(text string) (digits string, ok bool) {
	digits = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.Is(unicode.Pd, r) {
			return -1
		}
		return r
	}, text)
	digits, international := strings.CutPrefix(digits, "+")
	if !international {
		digits = strings.TrimPrefix(digits, "00")
	}
	return digits, digits != "" && strings.Trim(digits, "0123456789") == ""
}

// UserAdmin does what operators do with users and what needs only MySQL. It prints the results to Out.
type UserAdmin struct {
	Config config.Users
	Out    io.Writer
	Logger *slog.Logger
}

// withUsers opens a database, does some work and closes the database. The error is ErrMisconfigured if only another
// MYSQL_DSN can help.
func withUsers(
	ctx context.Context, dsn string, tls config.MySQLTLS, logger *slog.Logger, work func(*store.Users) error,
) (err error) {
	db, err := openMySQL(dsn, tls, store.Options{Logger: logger})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err = db.CheckTables(ctx); err == nil {
		err = work(db.Users())
	}
	return userError(databaseError(db, err))
}

// userError replaces the store's error that there is no user.
func userError(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return errNoUser
	}
	return err
}

func (a UserAdmin) withUsers(ctx context.Context, work func(*store.Users) error) error {
	return withUsers(ctx, a.Config.MySQLDSN, a.Config.TLS, a.Logger, work)
}

// Find prints a table of the users that match a query, without phone numbers. It is an error if there are none.
func (a UserAdmin) Find(ctx context.Context, q UserQuery) error {
	return a.withUsers(ctx, func(users *store.Users) error {
		found, err := users.Search(ctx, q, maxFound+1)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return errNoneFound
		}
		ids := make([]uint64, len(found))
		for i, user := range found {
			ids[i] = user.ID
		}
		apps, err := users.CountIdentities(ctx, ids)
		if err != nil {
			return err
		}
		return printUsers(a.Out, found, apps)
	})
}

// Show prints what is known about a user, except the phone number. The id of a merged user stands for its survivor.
func (a UserAdmin) Show(ctx context.Context, id uint64) error {
	address, err := avatarAddress(a.Config.Avatars)
	if err != nil {
		return err
	}
	return a.withUsers(ctx, func(users *store.Users) error {
		record, err := survivorRecord(ctx, users, id)
		if err != nil {
			return err
		}
		return printRecord(a.Out, id, record, address)
	})
}

// Export writes everything about a user as JSON, for that person. The id of a merged user stands for its survivor.
func (a UserAdmin) Export(ctx context.Context, id uint64) error {
	address, err := avatarAddress(a.Config.Avatars)
	if err != nil {
		return err
	}
	return a.withUsers(ctx, func(users *store.Users) error {
		record, err := survivorRecord(ctx, users, id)
		if err != nil {
			return err
		}
		return exportRecord(a.Out, record, address)
	})
}

// Block blocks a user. It is not an error if that was done before. A merged or an erased user cannot be blocked.
func (a UserAdmin) Block(ctx context.Context, id uint64, reason, actor string) error {
	return a.setStatus(ctx, id, store.StatusDisabled, "blocked", store.Cause{Reason: reason, Actor: actor})
}

// Unblock is the opposite of Block.
func (a UserAdmin) Unblock(ctx context.Context, id uint64, reason, actor string) error {
	return a.setStatus(ctx, id, store.StatusActive, "active", store.Cause{Reason: reason, Actor: actor})
}

func (a UserAdmin) setStatus(ctx context.Context, id uint64, status store.Status, name string, c store.Cause) error {
	return a.withUsers(ctx, func(users *store.Users) error {
		user, changed, err := users.SetStatus(ctx, id, status, c)
		switch {
		case err != nil:
			return err
		case user.Status == store.StatusErased:
			return errErased
		case user.Status != status:
			return mergedError(ctx, users, id)
		case !changed:
			name += " already"
		}
		_, err = fmt.Fprintf(a.Out, "user %d is %s\n", id, name)
		return err
	})
}

// mergedError says which user to change instead of a merged one.
func mergedError(ctx context.Context, users *store.Users, id uint64) error {
	record, err := survivorRecord(ctx, users, id)
	if err != nil {
		return err
	}
	return fmt.Errorf("user %d was merged into user %d: do this with user %[2]d", id, record.ID)
}

// survivorRecord returns the record of a user or, if that was merged into another one, of the survivor.
func survivorRecord(ctx context.Context, users *store.Users, id uint64) (store.Record, error) {
	for range maxMerges {
		record, err := users.Record(ctx, id)
		if err != nil || record.Status != store.StatusMerged || record.MergedInto == 0 {
			return record, err
		}
		id = record.MergedInto
	}
	return store.Record{}, errMergedCircle
}

// avatarAddress returns a function that makes an address of a value of users.avatar_url, as the server does.
func avatarAddress(c config.Avatars) (func(stored string) string, error) {
	switch {
	case c.Dir != "":
		return func(stored string) string { return avatar.Address(c.PublicURL, stored) }, nil
	case c.S3Bucket != "":
		bucket, err := openBucket(c)
		if err != nil {
			return nil, err
		}
		return bucket.URL, nil
	}
	return func(stored string) string { return stored }, nil
}
