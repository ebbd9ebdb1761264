package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"wxlogin/handlers"
	"wxlogin/internal/avatar"
)

// usageInterval is how often the files of the folder are counted.
const usageInterval = 10 * time.Minute

// avatarStore is a folder or a bucket.
type avatarStore interface {
	handlers.Avatars
	avatar.Files
}

// avatarParts are where pictures are kept and how they are served; the zero value is without uploads.
type avatarParts struct {
	store  avatarStore
	folder *avatar.Folder // nil: pictures are served elsewhere

	stopMeasuring func()
}

func openAvatars(c AvatarConfig) (p avatarParts, err error) {
	switch {
	case c.Dir != "":
		if p.folder, err = avatar.OpenFolder(c.Dir, c.PublicURL); err != nil {
			return avatarParts{}, fmt.Errorf("AVATAR_DIR: %w", err)
		}
		p.store = p.folder
	case c.S3Bucket != "":
		bucket, err := avatar.NewS3(avatar.S3Options{
			Endpoint: c.S3Endpoint, Region: c.S3Region, Bucket: c.S3Bucket,
			AccessKey: c.S3AccessKey, SecretKey: c.S3SecretKey, PublicURL: c.S3PublicURL,
		})
		if err != nil {
			return avatarParts{}, err
		}
		p.store = bucket
	}
	return p, nil
}

// options sets the parts of the public listener that pictures need.
func (p avatarParts) options(o *handlers.PublicOptions) {
	if p.store != nil {
		o.Avatars = p.store
	}
	if p.folder != nil {
		o.OpenAvatar = p.folder.Open
	}
}

// registerMetrics adds the figures of the folder, and begins to count its files.
func (p *avatarParts) registerMetrics(m *handlers.Metrics, logger *slog.Logger) {
	if p.folder == nil {
		return
	}
	var usage atomic.Pointer[avatar.Usage]
	figure := func(read func(avatar.Usage) float64) func() float64 {
		return func() float64 {
			if u := usage.Load(); u != nil {
				return read(*u)
			}
			return math.NaN()
		}
	}
	m.Gauge("avatar_files", "Files in AVATAR_DIR, counted every 10 minutes.", nil,
		figure(func(u avatar.Usage) float64 { return float64(u.Files) }))
	m.Gauge("avatar_bytes", "Bytes of the files in AVATAR_DIR, counted every 10 minutes.", nil,
		figure(func(u avatar.Usage) float64 { return float64(u.Bytes) }))
	p.registerDisk(m)
	p.stopMeasuring = startBackground(func(ctx context.Context) {
		measureAvatars(ctx, p.folder, logger, func(u avatar.Usage) { usage.Store(&u) })
	})
}

func (p *avatarParts) registerDisk(m *handlers.Metrics) {
	figure := func(read func(avatar.Disk) uint64) func() float64 {
		return func() float64 {
			disk, err := p.folder.Disk()
			if err != nil {
				return math.NaN()
			}
			return float64(read(disk))
		}
	}
	m.Gauge("avatar_disk_size_bytes", "Size of the file system of AVATAR_DIR.", nil, figure(func(d avatar.Disk) uint64 { return d.Size }))
	m.Gauge("avatar_disk_free_bytes", "Free bytes of the file system of AVATAR_DIR.", nil, figure(func(d avatar.Disk) uint64 { return d.Free }))
}

// measureAvatars counts the files now and every usageInterval, until ctx ends.
func measureAvatars(ctx context.Context, files avatar.Files, logger *slog.Logger, result func(avatar.Usage)) {
	ticker := time.NewTicker(usageInterval)
	defer ticker.Stop()
	for {
		usage, err := avatar.Measure(ctx, files)
		switch {
		case err == nil:
			result(usage)
		case ctx.Err() == nil:
			logger.WarnContext(ctx, "the files in AVATAR_DIR cannot be counted", "cause", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (p avatarParts) close() error {
	if p.stopMeasuring != nil {
		p.stopMeasuring()
	}
	if p.folder == nil {
		return nil
	}
	return p.folder.Close()
}

func (c AvatarConfig) validate() []error {
	faults := c.s3Faults()
	if c.Dir != "" && c.PublicURL == "" {
		faults = append(faults, errors.New("PUBLIC_URL is not set, which AVATAR_DIR needs"))
	}
	for name, address := range map[string]string{
		"PUBLIC_URL": c.PublicURL, "AVATAR_S3_ENDPOINT": c.S3Endpoint, "AVATAR_S3_PUBLIC_URL": c.S3PublicURL,
	} {
		if address != "" && (!isWebAddress(address) || strings.ContainsAny(address, "?#")) {
			faults = append(faults, fmt.Errorf("%s is not an http or https URL", name))
		}
	}
	return faults
}

// s3Faults says what is missing of a bucket that is configured by half.
func (c AvatarConfig) s3Faults() []error {
	settings := [...]struct{ name, value string }{
		{"AVATAR_S3_ENDPOINT", c.S3Endpoint}, {"AVATAR_S3_BUCKET", c.S3Bucket},
		{"AVATAR_S3_ACCESS_KEY", c.S3AccessKey}, {"AVATAR_S3_SECRET_KEY", c.S3SecretKey},
	}
	var faults []error
	for _, s := range settings {
		if s.value == "" {
			faults = append(faults, fmt.Errorf("%s is not set, which the other AVATAR_S3 variables need", s.name))
		}
	}
	if len(faults) == len(settings) {
		return nil // no bucket is meant
	}
	if c.Dir != "" {
		faults = append(faults, errors.New("AVATAR_DIR and AVATAR_S3_BUCKET are both set"))
	}
	return faults
}
