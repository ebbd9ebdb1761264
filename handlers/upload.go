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

// uploadLimits bound the uploads in flight. In memory they amount to 32 files of avatar.MaxBytes, plus avatar.MaxMemory
// for decoding.
var uploadLimits = slotLimits{total: 32, perUser: 2, perAddress: 16}

const (
	slotWait   = 30 * time.Second // for a slot, before the body is read
	decodeWait = 30 * time.Second // for memory and a CPU to decode with

	// decodeTime bounds decoding on a busy machine. avatar.MaxWork bounds the work that can be estimated in advance.
	decodeTime = 10 * avatar.MaxWork

	// uploadBudget bounds a whole upload.
	uploadBudget = slotWait + maxUploadTime + decodeWait + decodeTime + 10*time.Second
)

// errNoUploads is the error of a server without storage for pictures.
var errNoUploads = apiError{code: codeNotFound,
	detail: "Uploads are not configured on this server: set AVATAR_DIR or AVATAR_S3_ENDPOINT."}

// uploadResponse is the response of POST /uploadAvatar.
type uploadResponse struct {
	Status    int    `json:"status"`
	AvatarURL string `json:"avatarUrl"`
	profileResponse
}

// uploadAvatar serves POST /uploadAvatar. It takes a picture as wx.uploadFile sends it, and makes it the user's avatar.
func (p *public) uploadAvatar(w http.ResponseWriter, r *http.Request) error {
	body := newPacedBody(w, r.Body)
	_ = body.control.SetWriteDeadline(time.Now().Add(uploadBudget)) // fails only if the connection has no deadlines
	ctx, cancel := context.WithTimeout(r.Context(), uploadBudget)
	defer cancel()
	defer context.AfterFunc(p.uploadsClosed, func() { body.interrupt(); cancel() })()
	user, err := p.receiveAvatar(ctx, r, body)
	if err != nil {
		return p.rejectUpload(w, r, body, err)
	}
	profile := p.profileResponse(user)
	return writeJSON(w, http.StatusOK, uploadResponse{http.StatusOK, profile.UserInfo.AvatarURL, profile})
}

// receiveAvatar reads only the first fields of the body until the user is known and an upload slot is free.
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
	if _, err := p.currentUser(ctx, sess); err != nil {
		return store.User{}, err
	}
	reservation, ok := p.uploadLimiter.Reserve(userKey(sess))
	if !ok {
		return store.User{}, p.reject(dailyUploadRate)
	}
	defer reservation.Release() // a no-op once decoding has begun
	release, err := p.acquireUploadSlot(ctx, uploadOwner{userKey(sess), clientKey(r)})
	if err != nil {
		return store.User{}, err
	}
	defer release()
	body.allowFile()
	file, err := parts.readFile(r.ContentLength)
	if err != nil {
		return store.User{}, uploadError(err)
	}
	if _, err := request.Token(r.Header, request.Fields{"token": parts.token}); err != nil {
		return store.User{}, err
	}
	picture, err := p.decodePicture(ctx, file, reservation.Keep)
	if err != nil {
		return store.User{}, err
	}
	return p.saveAvatar(ctx, sess, picture)
}

// delayedCancel returns a context that ends some time after ctx, which may be nil.
func delayedCancel(ctx context.Context, delay time.Duration) context.Context {
	if ctx == nil {
		return context.Background()
	}
	delayed, cancel := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() { time.AfterFunc(delay, cancel) })
	return delayed
}

// newUploadParts checks the headers of a multipart request. It reads nothing of the body.
func newUploadParts(r *http.Request, body *pacedBody) (*uploadParts, error) {
	mediaType, err := request.MediaType(r.Header)
	if err != nil && !errors.Is(err, request.ErrMediaType) {
		return nil, err
	}
	if mediaType != "multipart/form-data" {
		return nil, apiError{code: codeUnsupportedMediaType, detail: "Send multipart/form-data, as wx.uploadFile does."}
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

// uploadSession returns the session of an upload. The token is in the header or, if there is no such header, in a field
// before the file.
func (p *public) uploadSession(ctx context.Context, r *http.Request, parts *uploadParts) (session.Session, error) {
	if len(r.Header.Values("Authorization")) == 0 {
		if err := parts.readToFile(); err != nil {
			return session.Session{}, uploadError(err)
		}
	}
	return p.sessionForUpdate(ctx, r, request.Fields{"token": parts.token})
}

// acquireUploadSlot waits for an upload slot. If there is no error, the caller must call release.
func (p *public) acquireUploadSlot(ctx context.Context, owner uploadOwner) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, slotWait)
	defer cancel()
	if !p.uploadSlots.acquire(ctx, owner) {
		return nil, p.reject(tooManyUploads)
	}
	return func() { p.uploadSlots.release(owner) }, nil
}

// rejectUpload writes the error response of an upload immediately, however slowly the body arrives. Then it reads and
// drops the rest of the body, within the limits of an upload, because many clients do not read a response before they
// have sent everything.
func (p *public) rejectUpload(w http.ResponseWriter, r *http.Request, body *pacedBody, cause error) error {
	_ = body.control.EnableFullDuplex() // or net/http would read the body before it sends the response
	w.Header().Set("Connection", "close")
	writeProblem(w, r, toAPIError(cause))
	_ = body.control.Flush()
	if r.Header.Get("Expect") == "" { // a client that waits for "100 Continue" has not sent the body
		body.discard()
	}
	return nil
}

// uploadError classifies an error of reading the body.
func uploadError(err error) error {
	if known, ok := errors.AsType[apiError](err); ok {
		return known
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return apiError{code: codeRequestTooLarge, detail: "The picture is larger than 4 MiB."}
	}
	switch {
	case errors.Is(err, errStopping):
		return apiError{code: codeStorageUnavailable, detail: "The server is shutting down.", cause: errStopping}
	case errors.Is(err, errSlowBody):
		return apiError{code: codeInvalidRequest, detail: "The body arrives too slowly."}
	}
	return apiError{code: codeInvalidRequest, detail: "The body is not complete multipart/form-data.", cause: err}
}
