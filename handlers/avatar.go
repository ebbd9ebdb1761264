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

// Avatars keeps the pictures that people upload. *avatar.Folder and *avatar.S3 implement it.
type Avatars interface {
	// Put stores a picture and returns its path, for users.avatar_url.
	Put(ctx context.Context, p avatar.Picture) (path string, err error)
	// Delete deletes the picture of a path. It is no error if there is none, or if path is something else.
	Delete(ctx context.Context, path string) error
	// URL returns the address of what users.avatar_url holds.
	URL(stored string) string
	// Issued reports whether an address is one that URL makes of paths.
	Issued(address string) bool
}

// saveAvatar stores a picture and makes it the avatar of the session's user.
func (p *public) saveAvatar(ctx context.Context, sess session.Session, picture avatar.Picture) (store.User, error) {
	put, cancel := p.storage(ctx)
	defer cancel()
	path, err := p.avatars.Put(put, picture)
	if err != nil {
		return store.User{}, failure{code: codeStorageUnavailable, cause: err}
	}
	user, err := p.updateProfile(ctx, sess, store.Profile{AvatarURL: path, Source: store.SourceUser})
	if user.ID != 0 && user.AvatarURL != path || errors.Is(err, store.ErrNotFound) {
		p.deletePicture(ctx, path) // the user was disabled or deleted meanwhile
	}
	return user, err
}

// makePicture makes an avatar of a file when its turn has come. It calls begun when it begins to decode, which is what costs.
func (p *public) makePicture(ctx context.Context, file []byte, begun func()) (avatar.Picture, error) {
	plan, err := avatar.Inspect(file)
	if err != nil {
		return avatar.Picture{}, pictureError(err)
	}
	waiting, cancelWait := context.WithTimeout(ctx, decodeWait)
	defer cancelWait()
	release, err := p.decoders.acquire(waiting, plan.Memory)
	if err != nil {
		return avatar.Picture{}, p.refused(uploadsInFlight)
	}
	defer release()
	begun()
	decoding, cancel := context.WithTimeoutCause(ctx, decodeTime, avatar.ErrTooComplex)
	defer cancel()
	picture, err := avatar.Make(decoding, file, plan)
	if err != nil && decoding.Err() != nil {
		err = context.Cause(decoding)
	}
	return picture, pictureError(err)
}

// pictureDetails say why a file cannot become an avatar, if the code's own detail does not.
var pictureDetails = map[error]string{
	avatar.ErrUnsupported:   "Pictures of this kind are not supported: save it as an ordinary JPEG or PNG.",
	avatar.ErrTooManyPixels: "The picture has too many pixels: choose a smaller one.",
	avatar.ErrTooComplex:    "The picture takes too much memory or time to decode: save it as an ordinary JPEG.",
}

// pictureError returns the answer to a file that cannot become an avatar. Other errors stay.
func pictureError(err error) error {
	for known, detail := range pictureDetails {
		if errors.Is(err, known) {
			return failure{code: codeInvalidPicture, detail: detail}
		}
	}
	if errors.Is(err, avatar.ErrPicture) {
		return failure{code: codeInvalidPicture}
	}
	return err
}

// updateProfile takes new data into the profile of the session's user, and deletes the picture that it replaces. Whose profile it
// is comes from the session alone: the data of wx.getUserProfile names no user, and a unionId in it is not taken either, because
// open data carries no MAC.
func (p *public) updateProfile(ctx context.Context, sess session.Session, profile store.Profile) (store.User, error) {
	bounded, cancel := p.storage(ctx)
	defer cancel()
	user, replaced, err := p.users.UpdateProfile(bounded, sess.AppID, sess.OpenID, profile)
	if err != nil {
		return store.User{}, err
	}
	if replaced != "" && p.avatars != nil {
		p.deletePicture(ctx, replaced)
	}
	return user, refuseDisabled(ctx, user)
}

// deletePicture deletes a picture that no row refers to any more. The request does not fail if that fails: `wxlogin sweep`
// deletes what is left.
func (p *public) deletePicture(ctx context.Context, path string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.storageTimeout)
	defer cancel()
	if err := p.avatars.Delete(ctx, path); err != nil {
		p.logger.WarnContext(ctx, "a replaced picture was not deleted; wxlogin sweep will", "cause", err)
	}
}

// keepsPicture reports whether an address is the picture that the user has already. It is an error to give the address of another
// picture of this server: each belongs to one user, and is deleted with it.
func (p *public) keepsPicture(ctx context.Context, sess session.Session, address string) (bool, error) {
	if p.avatars == nil || address == "" {
		return false, nil
	}
	address = p.avatars.URL(address)
	if !p.avatars.Issued(address) {
		return false, nil
	}
	user, err := p.userOf(ctx, sess)
	if err != nil {
		return false, err
	}
	if p.avatars.URL(user.AvatarURL) != address {
		return false, invalidField("avatarUrl", "The field avatarUrl is a picture of this server that is not this user's.")
	}
	return true, nil
}

// serveAvatar gives a picture, always whole: ranges of a file this small save nothing, and what net/http makes of a header
// with thousands of them costs a hundred times the picture. A name belongs to one picture for good, so that a
// client that has it need not ask again.
func (p *public) serveAvatar(w http.ResponseWriter, r *http.Request) error {
	name := chi.URLParam(r, "name")
	file, contentType, err := p.openAvatar(name)
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
