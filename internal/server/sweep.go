package server

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"wxlogin/internal/avatar"
	"wxlogin/store"
)

const (
	// sweepAge is how old a picture is at least that a sweep deletes: the row of a newer one may still be written.
	sweepAge = 24 * time.Hour

	sweepProgress = 10 * time.Second
)

// SweepConfig is what `wxlogin sweep` needs.
type SweepConfig struct {
	MySQLDSN string `env:"MYSQL_DSN,notEmpty"`
	TLS      MySQLTLS
	Avatars  AvatarConfig
	Log      LogConfig
}

// LoadSweepConfig is LoadConfig for `wxlogin sweep`.
func LoadSweepConfig(environ []string) (SweepConfig, error) {
	return load[SweepConfig](environ)
}

func (c SweepConfig) validate() []error {
	faults := append(c.TLS.faults(c.MySQLDSN), c.Avatars.validate()...)
	if c.Avatars.Dir == "" && c.Avatars.S3Bucket == "" && len(faults) == 0 {
		faults = append(faults, errors.New("neither AVATAR_DIR nor AVATAR_S3_BUCKET is set"))
	}
	return append(faults, c.Log.validate()...)
}

// errNoUsers keeps a sweep with a wrong MYSQL_DSN from deleting everything.
var errNoUsers = errors.New("the database has no users: is it the right one? Nothing was deleted")

// Sweep deletes the pictures that no user has and that are older than a day. It logs its progress. With dryRun it only counts.
func Sweep(ctx context.Context, c SweepConfig, dryRun bool, logger *slog.Logger) (swept avatar.Swept, err error) {
	db, err := c.TLS.open(c.MySQLDSN, store.Options{Logger: logger})
	if err != nil {
		return avatar.Swept{}, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	avatars, err := openAvatars(c.Avatars)
	if err != nil {
		return avatar.Swept{}, err
	}
	defer func() { err = errors.Join(err, avatars.close()) }()
	before := time.Now().Add(-sweepAge) // of the beginning: rows are read first
	keep, err := pictureReferences(ctx, db)
	if err != nil {
		return avatar.Swept{}, databaseFault(db, err)
	}
	return avatar.Sweep(ctx, avatars.store, avatar.SweepOptions{
		Keep: keep, Before: before, DryRun: dryRun, Each: logProgress(ctx, logger),
	})
}

// pictureReferences reads which pictures users have.
func pictureReferences(ctx context.Context, db *store.DB) (*avatar.References, error) {
	if err := db.CheckTables(ctx); err != nil {
		return nil, err
	}
	exist, err := db.Users().Exist(ctx)
	if err == nil && !exist {
		err = errNoUsers
	}
	if err != nil {
		return nil, err
	}
	var keep avatar.References
	err = db.Users().AvatarURLs(ctx, func(stored string) error {
		keep.Add(stored)
		return nil
	})
	return &keep, err
}

// logProgress logs now and then what a sweep has done so far.
func logProgress(ctx context.Context, logger *slog.Logger) func(avatar.Swept) {
	next := time.Now().Add(sweepProgress)
	return func(s avatar.Swept) {
		if now := time.Now(); now.After(next) {
			next = now.Add(sweepProgress)
			logger.InfoContext(ctx, "sweeping", "files", s.Files, "deleted", s.Removed)
		}
	}
}
