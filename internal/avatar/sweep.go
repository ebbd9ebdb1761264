package avatar

import (
	"context"
	"encoding/hex"
	"errors"
	"iter"
	"time"
)

// File is a stored file.
type File struct {
	Name    string
	Size    int64 // in bytes
	ModTime time.Time
}

// Files lists and removes stored files. *Folder and *S3 implement it.
type Files interface {
	Files(ctx context.Context) iter.Seq2[File, error]
	Remove(ctx context.Context, file File) error
}

// References is a set of pictures that database rows refer to. It takes some 40 bytes per picture.
type References struct {
	names map[[16]byte]struct{}
}

// Add adds the picture of a value of users.avatar_url. Values that are not pictures of this server are ignored.
func (r *References) Add(stored string) {
	name, ok := storedName(stored)
	if !ok {
		return
	}
	if r.names == nil {
		r.names = make(map[[16]byte]struct{})
	}
	r.names[packName(name)] = struct{}{}
}

func (r *References) has(name string) bool {
	if !pictureName.MatchString(name) {
		return false // a temporary file
	}
	_, ok := r.names[packName(name)]
	return ok
}

// packName packs the 32 hexadecimal digits of a name.
func packName(name string) (key [16]byte) {
	_, _ = hex.Decode(key[:], []byte(name[:32])) // the name matches nameForm
	return key
}

// Swept counts what Sweep has found and removed.
type Swept struct {
	Files, Removed int
	RemovedBytes   int64
}

// SweepOptions configures Sweep.
type SweepOptions struct {
	Keep   *References // pictures to keep
	Before time.Time   // keep newer files: their row may not be written yet
	DryRun bool        // only count
	Each   func(Swept) // called after each file, to show progress; optional
}

// Sweep removes the files that are not referenced. If a file cannot be removed, it goes on and returns the first such
// error at the end. If listing fails, it stops.
func Sweep(ctx context.Context, files Files, o SweepOptions) (Swept, error) {
	var swept Swept
	var failed error
	for file, err := range files.Files(ctx) {
		if err != nil {
			return swept, errors.Join(failed, err)
		}
		swept.Files++
		if file.ModTime.Before(o.Before) && !o.Keep.has(file.Name) {
			if err := remove(ctx, files, file, o.DryRun); err == nil {
				swept.Removed++
				swept.RemovedBytes += file.Size
			} else if failed == nil {
				failed = err
			}
		}
		if o.Each != nil {
			o.Each(swept)
		}
	}
	return swept, failed
}

func remove(ctx context.Context, files Files, file File, dryRun bool) error {
	if dryRun {
		return nil
	}
	return files.Remove(ctx, file)
}

// Usage is the number and total size of a store's files.
type Usage struct {
	Files int
	Bytes int64
}

// Measure lists all files. With a million files that takes seconds.
func Measure(ctx context.Context, files Files) (u Usage, err error) {
	for file, err := range files.Files(ctx) {
		if err != nil {
			return Usage{}, err
		}
		u.Files++
		u.Bytes += file.Size
	}
	return u, nil
}

// Disk is the size of a file system and the space available to this process, in bytes.
type Disk struct{ Size, Free uint64 }
