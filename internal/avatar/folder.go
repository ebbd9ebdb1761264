package avatar

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
)

// CacheControl is for pictures wherever they are served: a name never gets another picture.
const CacheControl = "public, max-age=31536000, immutable"

// Path is where a Folder's pictures are served, below the public address.
const Path = "/avatars/"

// Folder keeps pictures as files. It is safe for concurrent use, by several processes too.
type Folder struct {
	root *os.Root
	base string // address of the folder, with a slash at the end
}

// OpenFolder opens a folder, which it makes where it is not there. publicURL is where clients reach this server.
func OpenFolder(dir, publicURL string) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("avatar: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("avatar: %w", err)
	}
	return &Folder{root: root, base: strings.TrimRight(publicURL, "/") + Path}, nil
}

// Close lets go of the folder.
func (f *Folder) Close() error { return f.root.Close() }

// Put keeps a picture and returns its address. The file is whole or not there.
func (f *Folder) Put(_ context.Context, p Picture) (address string, err error) {
	name := newName(p)
	temporary := "." + name + "." + rand.Text()
	if err := f.write(temporary, p.Data); err != nil {
		return "", errors.Join(fmt.Errorf("avatar: %w", err), f.remove(temporary))
	}
	if err := f.root.Rename(temporary, name); err != nil {
		return "", errors.Join(fmt.Errorf("avatar: %w", err), f.remove(temporary))
	}
	return f.base + name, nil
}

// newName returns a name that no other picture has.
func newName(p Picture) string {
	random := make([]byte, 16)
	_, _ = rand.Read(random) // it never fails
	return hex.EncodeToString(random) + p.Extension
}

// write makes a file that is on the disk when it returns.
func (f *Folder) write(name string, data []byte) error {
	file, err := f.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	return errors.Join(err, file.Sync(), file.Close())
}

// remove takes back what write may have left.
func (f *Folder) remove(name string) error {
	if err := f.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("avatar: %w", err)
	}
	return nil
}

// Issued tells whether an address is one of this folder's, with a picture behind it.
func (f *Folder) Issued(address string) bool {
	name, ok := strings.CutPrefix(address, f.base)
	if !ok || !validName.MatchString(name) {
		return false
	}
	_, err := f.root.Stat(name)
	return err == nil
}

// validName keeps other files than pictures, such as half-written ones, from being served.
var validName = regexp.MustCompile(`^[0-9a-f]{32}\.(jpg|png)$`)

var contentTypes = map[string]string{".jpg": "image/jpeg", ".png": "image/png"}

// Open finds a picture for serving. The error is fs.ErrNotExist where there is none of this name.
func (f *Folder) Open(name string) (file *os.File, contentType string, err error) {
	if !validName.MatchString(name) {
		return nil, "", fs.ErrNotExist
	}
	file, err = f.root.Open(name)
	return file, contentTypes[name[len(name)-4:]], err
}
