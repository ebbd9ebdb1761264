package avatar

import (
	"crypto/rand"
	"encoding/hex"
	"regexp"
	"strings"
)

// Path begins the path of every picture, as users.avatar_url has it and below the public address.
const Path = "/avatars/"

// CacheControl is for pictures wherever they are served: a name belongs to one content for good.
const CacheControl = "public, max-age=31536000, immutable"

var contentTypes = map[string]string{".jpg": "image/jpeg", ".png": "image/png"}

func contentTypeOf(name string) string { return contentTypes[name[len(name)-4:]] }

// nameForm matches the names of pictures. Earlier versions made names of the same form from a picture's content.
const nameForm = `[0-9a-f]{32}\.(jpg|png)`

var (
	pictureName   = regexp.MustCompile(`^` + nameForm + `$`)
	temporaryName = regexp.MustCompile(`^\.` + nameForm + `\.[0-9A-Z]+$`)
	pictureURL    = regexp.MustCompile(`^https?://.*` + Path + `(` + nameForm + `)$`)
)

// newName returns a name that no other picture has and that cannot be guessed.
func newName(extension string) string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:]) + extension
}

// nameOf returns the name of the picture that a value of users.avatar_url refers to, and reports whether it may refer to one of
// this server's: it is a path below Path, or an address as earlier versions stored it, under whatever PUBLIC_URL they had.
func nameOf(stored string) (name string, ok bool) {
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

// addresses translates between paths, which are stored, and addresses, which clients get.
type addresses struct {
	base string // address of the pictures, with a slash at its end
}

func newAddresses(base string) addresses { return addresses{strings.TrimRight(base, "/") + "/"} }

// URL returns the address of what is stored in users.avatar_url: of a picture's path its address today, and everything else
// unchanged.
func (a addresses) URL(stored string) string {
	if name, ok := pathName(stored); ok {
		return a.base + name
	}
	return stored
}

// Issued reports whether an address has the form of those that URL makes of paths.
func (a addresses) Issued(address string) bool {
	name, ok := strings.CutPrefix(address, a.base)
	return ok && pictureName.MatchString(name)
}
