package handlers

import (
	"context"
	"errors"
	"net/http"
	"time"

	"wxlogin/internal/avatar"
	"wxlogin/internal/request"
	"wxlogin/session"
	"wxlogin/store"
)

// Bounds of uploads, together with those of their bodies. In memory they come to 32 files of avatar.MaxBytes and
// avatar.MaxMemory for decoding.
var uploadLimits = placeLimits{all: 32, perUser: 2, perAddress: 16}

const (
	placeWait  = 30 * time.Second // for a place, before the body is read
	decodeWait = 30 * time.Second // for its turn to be decoded

	// decodeTime is how long decoding may take on a busy machine. avatar.MaxWork bounds what can be known before.
	decodeTime = 10 * avatar.MaxWork

	// uploadBudget is all that an upload may take.
	uploadBudget = placeWait + uploadTime + decodeWait + decodeTime + 10*time.Second
)

// errNoUploads is the answer of a server that keeps no pictures.
var errNoUploads = failure{code: codeNotFound,
	detail: "Uploads are not configured on this server: set AVATAR_DIR or AVATAR_S3_ENDPOINT."}

// uploadAnswer is what POST /uploadAvatar answers.
type uploadAnswer struct {
	Status    int    `json:"status"`
	AvatarURL string `json:"avatarUrl"`
	profileAnswer
}

// uploadAvatar takes a picture as wx.uploadFile sends it, and makes it the user's avatar.
func (p *public) uploadAvatar(w http.ResponseWriter, r *http.Request) error {
	body := newPacedBody(w, r.Body)
	_ = body.control.SetWriteDeadline(time.Now().Add(uploadBudget)) // a connection without deadlines has none to extend
	ctx, cancel := context.WithTimeout(r.Context(), uploadBudget)
	defer cancel()
	defer context.AfterFunc(p.uploadsEnd, func() { body.interrupt(); cancel() })()
	user, err := p.receiveAvatar(ctx, r, body)
	if err != nil {
		return p.refuseUpload(w, r, body, err)
	}
	answer := p.profileAnswer(user)
	return writeJSON(w, http.StatusOK, uploadAnswer{http.StatusOK, answer.UserInfo.AvatarURL, answer})
}

// receiveAvatar finds out whose upload it is and waits for a place before it reads more of the body than its first fields.
func (p *public) receiveAvatar(ctx context.Context, r *http.Request, body *pacedBody) (store.User, error) {
	if p.avatars == nil {
		return store.User{}, errNoUploads
	}
	parts, err := newUploadParts(r, body)
	if err != nil {
		return store.User{}, err
	}
	sess, err := p.uploadSession(ctx, r, parts)
	if err != nil {
		return store.User{}, err
	}
	if _, err := p.userOf(ctx, sess); err != nil {
		return store.User{}, err
	}
	reservation, ok := p.dailyUploads.Reserve(userKey(sess))
	if !ok {
		return store.User{}, p.refused(dailyUploads)
	}
	defer reservation.Release() // if decoding has not begun
	release, err := p.acquirePlace(ctx, place{userKey(sess), clientKey(r)})
	if err != nil {
		return store.User{}, err
	}
	defer release()
	body.admit()
	file, err := parts.picture(r.ContentLength)
	if err != nil {
		return store.User{}, uploadError(err)
	}
	if _, err := request.Token(r.Header, request.Fields{"token": parts.token}); err != nil {
		return store.User{}, err
	}
	picture, err := p.makePicture(ctx, file, reservation.Keep)
	if err != nil {
		return store.User{}, err
	}
	return p.saveAvatar(ctx, sess, picture)
}

// afterGrace returns a context that ends some time after another one, which may be nil.
func afterGrace(ctx context.Context, grace time.Duration) context.Context {
	if ctx == nil {
		return context.Background()
	}
	after, cancel := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	return after
}

// newUploadParts returns the parts of a multipart request, none of which has been read.
func newUploadParts(r *http.Request, body *pacedBody) (*uploadParts, error) {
	mediaType, err := request.MediaType(r.Header)
	if err != nil && !errors.Is(err, request.ErrMediaType) {
		return nil, err
	}
	if mediaType != "multipart/form-data" {
		return nil, failure{code: codeUnsupportedMediaType, detail: "Send multipart/form-data, as wx.uploadFile does."}
	}
	if r.ContentLength > avatar.MaxBytes+uploadSlack {
		return nil, uploadError(&http.MaxBytesError{Limit: avatar.MaxBytes})
	}
	r.Body = body
	reader, err := r.MultipartReader()
	if err != nil {
		return nil, invalidRequest("The Content-Type has no boundary.")
	}
	return &uploadParts{reader: reader}, nil
}

// uploadSession finds the session of an upload: by the header, or else by a field before the file.
func (p *public) uploadSession(ctx context.Context, r *http.Request, parts *uploadParts) (session.Session, error) {
	if len(r.Header.Values("Authorization")) == 0 {
		if err := parts.untilFile(); err != nil {
			return session.Session{}, uploadError(err)
		}
	}
	return p.updatedSession(ctx, r, request.Fields{"token": parts.token})
}

// acquirePlace waits for a place among the uploads in flight. The caller must give it back by release.
func (p *public) acquirePlace(ctx context.Context, wanted place) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, placeWait)
	defer cancel()
	if !p.uploadPlaces.acquire(ctx, wanted) {
		return nil, p.refused(uploadsInFlight)
	}
	return func() { p.uploadPlaces.release(wanted) }, nil
}

// refuseUpload answers an upload that failed. The answer goes out at once, however slowly the body arrives. What is left of the
// body is read and dropped, within the bounds of an upload, because many clients look for an answer only after they have sent all.
func (p *public) refuseUpload(w http.ResponseWriter, r *http.Request, body *pacedBody, cause error) error {
	_ = body.control.EnableFullDuplex() // otherwise net/http waits for the body
	w.Header().Set("Connection", "close")
	writeFailure(w, r, classify(cause))
	_ = body.control.Flush()
	if r.Header.Get("Expect") == "" { // a client that expects 100-continue has not sent it
		body.discard()
	}
	return nil
}

// uploadError says what is wrong with a body that could not be read.
func uploadError(err error) error {
	if f, ok := errors.AsType[failure](err); ok {
		return f
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return failure{code: codeRequestTooLarge, detail: "The picture is larger than 4 MiB."}
	}
	switch {
	case errors.Is(err, errStopping):
		return failure{code: codeStorageUnavailable, detail: "The server is being stopped.", cause: errStopping}
	case errors.Is(err, errSlowBody):
		return failure{code: codeInvalidRequest, detail: "The body arrives too slowly."}
	}
	return failure{code: codeInvalidRequest, detail: "The body is not whole multipart/form-data.", cause: err}
}
