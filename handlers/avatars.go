package handlers

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"time"

	"github.com/go-chi/chi/v5"

	"wxlogin/internal/avatar"
)

// AvatarFiles finds pictures for GET /avatars/…, by name. *avatar.Folder is one. The error is fs.ErrNotExist where there
// is none of this name.
type AvatarFiles interface {
	Open(name string) (file *os.File, contentType string, err error)
}

// serveAvatar gives a picture. Its name is made of its content, so that whoever has it need not ask again.
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
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", avatar.CacheControl)
	h.Set("ETag", `"`+name+`"`)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'") // should a browser open it as a page
	http.ServeContent(w, r, "", time.Time{}, file)
	return nil
}
