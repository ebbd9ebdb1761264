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

// References is the set of pictures that rows refer to. It takes some 40 bytes a picture.
type References struct {
	names map[[16]byte]struct{}
}

// Add adds the picture of a value of users.avatar_url, if it is one of this server's.
func (r *References) Add(stored string) {
	name, ok := nameOf(stored)
	if !ok {
		return
	}
	if r.names == nil {
		r.names = make(map[[16]byte]struct{})
	}
	r.names[keyOf(name)] = struct{}{}
}

func (r *References) has(name string) bool {
	if !pictureName.MatchString(name) {
		return false // temporary
	}
	_, ok := r.names[keyOf(name)]
	return ok
}

// keyOf packs the 32 hexadecimal digits of a name.
func keyOf(name string) (key [16]byte) {
	_, _ = hex.Decode(key[:], []byte(name[:32])) // names have been matched
	return key
}

// Swept counts what Sweep has seen and removed.
type Swept struct {
	Files, Removed int
	RemovedBytes   int64
}

// SweepOptions says what Sweep removes.
type SweepOptions struct {
	Keep   *References // what is referred to stays
	Before time.Time   // files that are not older stay: a row may still be written
	DryRun bool        // count only
	Each   func(Swept) // called after each file, to show progress; optional
}

// Sweep removes the files that nothing refers to. It goes on after a file that cannot be removed, and returns the first such error
// at its end. An error of the listing ends it.
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

// Usage is what the files of a folder or bucket take.
type Usage struct {
	Files int
	Bytes int64
}

// Measure lists all files. With a million of them that takes seconds.
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

// Disk is the size of a file system, and what is free on it for this process, in bytes.
type Disk struct{ Size, Free uint64 }
