package avatar

import (
	"crypto/rand"
	"encoding/hex"
	"regexp"
	"strings"
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
	if name, ok := pathName(stored); ok {
		return name, true
	}
	if m := pictureURL.FindStringSubmatch(stored); m != nil {
		return m[1], true
	}
	return "", false
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
