package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"wxlogin/handlers"
	"wxlogin/internal/avatar"
	"wxlogin/internal/config"
	"wxlogin/store"
)

const (
	// usageInterval is how often the files of the folder are counted.
	usageInterval = 10 * time.Minute

	// sweepAge is the minimum age of a picture that a sweep deletes: the row of a newer one may not be written yet.
	sweepAge = 24 * time.Hour

	// progressInterval is how often a long command logs its progress.
	progressInterval = 10 * time.Second
)

// avatarStore is a folder or a bucket.
type avatarStore interface {
	handlers.Avatars
	avatar.Files
}

// avatarStorage is the store of uploaded pictures. The zero value is for a server without uploads.
type avatarStorage struct {
	store  avatarStore
	folder *avatar.Folder // nil: another server serves the pictures

	stopMeasuring func()
}

func openAvatars(c config.Avatars) (s avatarStorage, err error) {
	switch {
	case c.Dir != "":
		if s.folder, err = avatar.OpenFolder(c.Dir, c.PublicURL); err != nil {
			return avatarStorage{}, fmt.Errorf("AVATAR_DIR: %w", err)
		}
		s.store = s.folder
	case c.S3Bucket != "":
		s.store, err = openBucket(c)
	}
	return s, err
}

func openBucket(c config.Avatars) (*avatar.S3, error) {
	return avatar.NewS3(avatar.S3Options{
		Endpoint: c.S3Endpoint, Region: c.S3Region, Bucket: c.S3Bucket,
		AccessKey: c.S3AccessKey, SecretKey: c.S3SecretKey, PublicURL: c.S3PublicURL,
	})
}

// setOptions sets the options of the public handler that concern pictures.
func (s avatarStorage) setOptions(o *handlers.PublicOptions) {
	if s.store != nil {
		o.Avatars = s.store
	}
	if s.folder != nil {
		o.OpenAvatar = s.folder.Open
	}
}

// registerMetrics adds the metrics of the folder and starts to count its files. A value that is unknown is NaN.
func (s *avatarStorage) registerMetrics(m *handlers.Metrics, logger *slog.Logger) {
	if s.folder == nil {
		return
	}
	type usage struct{ files, bytes float64 }
	var last atomic.Pointer[usage]
	last.Store(&usage{math.NaN(), math.NaN()})
	m.Gauge("avatar_files", "Files in AVATAR_DIR, counted every 10 minutes.", nil, func() float64 { return last.Load().files })
	m.Gauge("avatar_bytes", "Bytes of the files in AVATAR_DIR, counted every 10 minutes.", nil, func() float64 { return last.Load().bytes })
	s.registerDiskMetrics(m)
	s.stopMeasuring = startBackground(func(ctx context.Context) {
		measure := func() {
			switch u, err := avatar.Measure(ctx, s.folder); {
			case err == nil:
				last.Store(&usage{float64(u.Files), float64(u.Bytes)})
			case ctx.Err() == nil:
				logger.WarnContext(ctx, "counting the files in AVATAR_DIR failed", "cause", err)
			}
		}
		measure()
		every(ctx, usageInterval, measure)
	})
}

func (s *avatarStorage) registerDiskMetrics(m *handlers.Metrics) {
	gauge := func(name, help string, read func(avatar.Disk) uint64) {
		m.Gauge(name, help, nil, func() float64 {
			disk, err := s.folder.Disk()
			if err != nil {
				return math.NaN()
			}
			return float64(read(disk))
		})
	}
	gauge("avatar_disk_size_bytes", "Size of the file system of AVATAR_DIR.", func(d avatar.Disk) uint64 { return d.Size })
	gauge("avatar_disk_free_bytes", "Free bytes of the file system of AVATAR_DIR.", func(d avatar.Disk) uint64 { return d.Free })
}

func (s avatarStorage) close() error {
	if s.stopMeasuring != nil {
		s.stopMeasuring()
	}
	if s.folder == nil {
		return nil
	}
	return s.folder.Close()
}

// errNoUsers keeps a sweep with a wrong MYSQL_DSN from deleting every picture.
var errNoUsers = errors.New("the database has no users, so nothing was deleted: is MYSQL_DSN right?")

// Sweep deletes the pictures that no user has and that are older than a day. If dryRun is true, it only counts them. It
// logs its progress. The error is ErrMisconfigured if only another MYSQL_DSN can help.
func Sweep(ctx context.Context, c config.Sweep, dryRun bool, logger *slog.Logger) (swept avatar.Swept, err error) {
	db, err := openMySQL(c.MySQLDSN, c.TLS, store.Options{Logger: logger})
	if err != nil {
		return avatar.Swept{}, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	avatars, err := openAvatars(c.Avatars)
	if err != nil {
		return avatar.Swept{}, err
	}
	defer func() { err = errors.Join(err, avatars.close()) }()
	before := time.Now().Add(-sweepAge) // relative to now, before the rows are read
	keep, err := avatarReferences(ctx, db)
	if err != nil {
		return avatar.Swept{}, databaseError(db, err)
	}
	return avatar.Sweep(ctx, avatars.store, avatar.SweepOptions{
		Keep: keep, Before: before, DryRun: dryRun, Each: logProgress(ctx, logger),
	})
}

// avatarReferences reads which pictures users have.
func avatarReferences(ctx context.Context, db *store.DB) (*avatar.References, error) {
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

// logProgress returns a function that logs the progress of a sweep now and then.
func logProgress(ctx context.Context, logger *slog.Logger) func(avatar.Swept) {
	due := progressDue()
	return func(s avatar.Swept) {
		if due() {
			logger.InfoContext(ctx, "sweeping", "files", s.Files, "deleted", s.Removed)
		}
	}
}

// progressDue returns a function that returns true once every progressInterval.
func progressDue() func() bool {
	next := time.Now().Add(progressInterval)
	return func() bool {
		now := time.Now()
		due := now.After(next)
		if due {
			next = now.Add(progressInterval)
		}
		return due
	}
}
