package handlers

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"wxlogin/internal/avatar"
)

// AvatarFiles finds pictures for GET /avatars/…, by name. *avatar.Folder is one. The error is fs.ErrNotExist where there
// is none of this name.
type AvatarFiles interface {
	Open(name string) (file *os.File, contentType string, err error)
}

// serveAvatar gives a picture, always whole: ranges of a file this small save nothing, and what net/http makes of a header
// with thousands of them costs a hundred times the picture. Its name is made of its content, so that whoever has it need not
// ask again.
func (p *public) serveAvatar(w http.ResponseWriter, r *http.Request) error {
	name := chi.URLParam(r, "name")
	file, contentType, err := p.avatarFiles.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return failure{code: codeNotFound}
	}
	if err != nil {
		return failure{code: codeStorageUnavailable, cause: err}
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return failure{code: codeStorageUnavailable, cause: err}
	}
	etag := `"` + name + `"`
	h := w.Header()
	h.Set("Cache-Control", avatar.CacheControl)
	h.Set("ETag", etag)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'") // should a browser open it as a page
	if hasETag(r.Header, etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.FormatInt(info.Size(), 10))
	h.Set("Accept-Ranges", "none")
	if r.Method != http.MethodHead {
		_, _ = io.CopyN(w, file, info.Size()) // the header is sent: a client that has gone learns nothing more
	}
	return nil
}

// hasETag reports whether a client has the picture with this ETag already (If-None-Match, RFC 9110, section 13.1.2). An
// entity tag holds no quotation mark, so that the quoted one is found in a list of any length without parsing that.
func hasETag(header http.Header, etag string) bool {
	return slices.ContainsFunc(header.Values("If-None-Match"), func(list string) bool {
		return strings.TrimSpace(list) == "*" || strings.Contains(list, etag)
	})
}
