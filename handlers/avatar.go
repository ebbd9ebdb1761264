package handlers

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"wxlogin/internal/avatar"
	"wxlogin/session"
	"wxlogin/store"
)

// Avatars stores uploaded pictures. *avatar.Folder and *avatar.S3 implement it.
type Avatars interface {
	// Put stores a picture and returns its path, for users.avatar_url.
	Put(ctx context.Context, p avatar.Picture) (path string, err error)
	// Delete deletes the picture of a path. If there is none, or path is something else, it does nothing and returns
	// nil.
	Delete(ctx context.Context, path string) error
	// URL returns the URL of a value of users.avatar_url.
	URL(stored string) string
	// Issued reports whether a URL has the form of those that URL makes of paths.
	Issued(address string) bool
}

// saveAvatar stores a picture and makes it the avatar of the session's user.
func (p *public) saveAvatar(ctx context.Context, sess session.Session, picture avatar.Picture) (store.User, error) {
	bounded, cancel := p.withStorageTimeout(ctx)
	defer cancel()
	path, err := p.avatars.Put(bounded, picture)
	if err != nil {
		return store.User{}, apiError{code: codeStorageUnavailable, cause: err}
	}
	user, err := p.updateProfile(ctx, sess, store.Profile{AvatarURL: path, Source: store.SourceUser})
	if user.ID != 0 && user.AvatarURL != path || errors.Is(err, store.ErrNotFound) {
		p.deletePicture(ctx, path) // the user was disabled or deleted in the meantime
	}
	return user, err
}

// deletePicture deletes a picture that no row refers to any more. If that fails, the request does not fail: `wxlogin
// sweep` deletes what is left.
func (p *public) deletePicture(ctx context.Context, path string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.storageTimeout)
	defer cancel()
	if err := p.avatars.Delete(ctx, path); err != nil {
		p.logger.WarnContext(ctx, "cannot delete a replaced picture; wxlogin sweep will delete it", "cause", err)
	}
}

// isCurrentAvatar reports whether a URL is that of the picture that the user has. The URL of another picture of this
// server is an error: a picture belongs to one user, and is deleted with that user.
func (p *public) isCurrentAvatar(ctx context.Context, sess session.Session, address string) (bool, error) {
	if p.avatars == nil || address == "" {
		return false, nil
	}
	address = p.avatars.URL(address)
	if !p.avatars.Issued(address) {
		return false, nil
	}
	user, err := p.currentUser(ctx, sess)
	if err != nil {
		return false, err
	}
	if p.avatars.URL(user.AvatarURL) != address {
		return false, invalidField("avatarUrl", "avatarUrl is a picture of this server, but not this user's.")
	}
	return true, nil
}

// decodePicture makes an avatar of an uploaded file. It waits until there is memory and a CPU for it, and calls
// onDecode right before it decodes, which is the expensive part.
func (p *public) decodePicture(ctx context.Context, file []byte, onDecode func()) (avatar.Picture, error) {
	plan, err := avatar.Inspect(file)
	if err != nil {
		return avatar.Picture{}, pictureError(err)
	}
	waiting, cancelWait := context.WithTimeout(ctx, decodeWait)
	defer cancelWait()
	release, err := p.decoders.acquire(waiting, plan.Memory)
	if err != nil {
		return avatar.Picture{}, p.reject(tooManyUploads)
	}
	defer release()
	onDecode()
	decoding, cancel := context.WithTimeoutCause(ctx, decodeTime, avatar.ErrTooComplex)
	defer cancel()
	picture, err := avatar.Make(decoding, file, plan)
	if err != nil && decoding.Err() != nil {
		err = context.Cause(decoding)
	}
	return picture, pictureError(err)
}

// pictureDetails are the problem details for a file that cannot become an avatar, if there is more to say than the code
// does.
var pictureDetails = map[error]string{
	avatar.ErrUnsupported:   "This kind of picture is not supported: save it as a plain JPEG or PNG.",
	avatar.ErrTooManyPixels: "The picture has too many pixels: choose a smaller one.",
	avatar.ErrTooComplex:    "The picture takes too much memory or time to decode: save it as a plain JPEG.",
}

// pictureError classifies an error of package avatar. It returns other errors unchanged.
func pictureError(err error) error {
	for known, detail := range pictureDetails {
		if errors.Is(err, known) {
			return apiError{code: codeInvalidPicture, detail: detail}
		}
	}
	if errors.Is(err, avatar.ErrPicture) {
		return apiError{code: codeInvalidPicture}
	}
	return err
}

// serveAvatar serves GET and HEAD /avatars/{name}. It ignores Range: partial content saves nothing for a file this
// small, and for a header with thousands of ranges net/http writes a hundred times the picture. Clients may cache a
// picture forever, because a name is never used for another one.
func (p *public) serveAvatar(w http.ResponseWriter, r *http.Request) error {
	name := chi.URLParam(r, "name")
	file, contentType, err := p.openAvatar(name)
	if errors.Is(err, fs.ErrNotExist) {
		return apiError{code: codeNotFound}
	}
	if err != nil {
		return apiError{code: codeStorageUnavailable, cause: err}
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return apiError{code: codeStorageUnavailable, cause: err}
	}
	etag := `"` + name + `"`
	h := w.Header()
	h.Set("Cache-Control", avatar.CacheControl)
	h.Set("ETag", etag)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'") // in case a browser opens it as a page
	if hasETag(r.Header, etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.FormatInt(info.Size(), 10))
	h.Set("Accept-Ranges", "none")
	if r.Method != http.MethodHead {
		_, _ = io.CopyN(w, file, info.Size()) // the header has been sent, so an error cannot be reported
	}
	return nil
}

// hasETag reports whether If-None-Match contains an ETag or "*" (RFC 9110, section 13.1.2). An ETag contains no
// quotation mark, so the quoted one is found in a list of any length without parsing the list.
func hasETag(header http.Header, etag string) bool {
	return slices.ContainsFunc(header.Values("If-None-Match"), func(list string) bool {
		return strings.TrimSpace(list) == "*" || strings.Contains(list, etag)
	})
}
