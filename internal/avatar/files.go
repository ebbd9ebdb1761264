package avatar

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"iter"
	"regexp"
	"strings"
	"time"
)

// Path is the prefix of every picture's path, both in users.avatar_url and below the public URL.
const Path = "/avatars/"

// CacheControl is the header for serving pictures. A name's content never changes.
const CacheControl = "public, max-age=31536000, immutable"

var contentTypes = map[string]string{".jpg": "image/jpeg", ".png": "image/png"}

func contentTypeOf(name string) string { return contentTypes[name[len(name)-4:]] }

// nameForm matches the names of pictures. Earlier versions derived names of the same form from the content.
const nameForm = `[0-9a-f]{32}\.(jpg|png)`

var (
	pictureName   = regexp.MustCompile(`^` + nameForm + `$`)
	temporaryName = regexp.MustCompile(`^\.` + nameForm + `\.[0-9A-Z]+$`)
	pictureURL    = regexp.MustCompile(`^https?://.*` + Path + `(` + nameForm + `)$`)
)

// newName returns a unique name that cannot be guessed.
func newName(extension string) string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:]) + extension
}

// storedName returns the name of the picture that a value of users.avatar_url refers to, and reports whether it may be
// one of this server's: it must be a path below Path, or an address that an earlier version stored, under any
// PUBLIC_URL.
func storedName(stored string) (name string, ok bool) {
	if m := pictureURL.FindStringSubmatch(stored); m != nil {
		return m[1], true
	}
	return pathName(stored)
}

// pathName returns the name in a path that Put returned.
func pathName(path string) (name string, ok bool) {
	name, ok = strings.CutPrefix(path, Path)
	return name, ok && pictureName.MatchString(name)
}

// addresses converts between paths, which are stored, and addresses, which are sent to clients.
type addresses struct {
	base string // address of the pictures, with a trailing slash
}

func newAddresses(base string) addresses { return addresses{strings.TrimRight(base, "/") + "/"} }

// Address returns the address of a value of users.avatar_url, as a Folder with this publicURL does for paths, without the
// folder.
func Address(publicURL, stored string) string {
	return newAddresses(strings.TrimRight(publicURL, "/") + Path).URL(stored)
}

// URL returns the address of a value of users.avatar_url: the current address if it is a picture's path, and otherwise
// the value unchanged.
func (a addresses) URL(stored string) string {
	if name, ok := pathName(stored); ok {
		return a.base + name
	}
	return stored
}

// Issued reports whether an address has the form of those that URL returns for paths.
func (a addresses) Issued(address string) bool {
	name, ok := strings.CutPrefix(address, a.base)
	return ok && pictureName.MatchString(name)
}

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

// deletePath removes the picture of a path, if it is one.
func deletePath(ctx context.Context, files Files, path string) error {
	if name, ok := pathName(path); ok {
		return files.Remove(ctx, File{Name: name})
	}
	return nil
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
			var err error
			if !o.DryRun {
				err = files.Remove(ctx, file)
			}
			if err == nil {
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
