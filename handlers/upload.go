package handlers

import (
	"context"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"time"

	"wxlogin/internal/avatar"
	"wxlogin/internal/fields"
	"wxlogin/session"
	"wxlogin/store"
)

const (
	// uploadTime is what the slowest phone gets to send a picture: 4 MiB at 0.6 Mbit/s.
	uploadTime = time.Minute
	// uploadsAtOnce bounds the memory that pictures on their way take: 4 MiB each.
	uploadsAtOnce = 64
	// pictureWait is how long a picture waits for its turn to be worked on.
	pictureWait = 5 * time.Second

	maxParts      = 16
	maxTokenBytes = 1 << 10
	uploadSlack   = 64 << 10 // of a body, for all that is not the picture
)

// Avatars keeps the pictures that people upload. *avatar.Folder is one.
type Avatars interface {
	Put(ctx context.Context, p avatar.Picture) (address string, err error)
	Issued(address string) bool // whether Put has given this address
}

// uploadAnswer is what POST /uploadAvatar answers.
type uploadAnswer struct {
	Status          int      `json:"status"`
	AvatarURL       string   `json:"avatarUrl"`
	ProfileComplete bool     `json:"profileComplete"`
	UserInfo        userInfo `json:"userInfo"`
}

// uploadAvatar takes a picture as wx.uploadFile sends it, and makes it the user's avatar.
func (p *public) uploadAvatar(w http.ResponseWriter, r *http.Request) error {
	if !p.uploads.enter(r.Context()) {
		return p.refused(uploadsInFlight)
	}
	defer p.uploads.leave()
	up, err := readUpload(w, r)
	if err != nil {
		return err
	}
	sess, err := p.updatedSession(r.Context(), r, fields.Fields{"token": up.token})
	if err != nil {
		return err
	}
	if len(up.file) == 0 {
		return invalidRequest("The body has no file.")
	}
	user, err := p.changeAvatar(r.Context(), sess, up.file)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, uploadAnswer{
		Status: http.StatusOK, AvatarURL: user.AvatarURL, ProfileComplete: user.ProfileComplete(), UserInfo: userInfoOf(user),
	})
}

// changeAvatar makes an avatar of a file, keeps it and gives it to the session's user. Of what cannot be used, and for a
// user who may not, nothing is kept.
func (p *public) changeAvatar(ctx context.Context, sess session.Session, file []byte) (store.User, error) {
	if user, err := p.userOf(ctx, sess); err != nil {
		return user, err
	}
	picture, err := p.makePicture(ctx, file)
	if err != nil {
		return store.User{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*p.storageTimeout)
	defer cancel()
	address, err := p.avatars.Put(ctx, picture)
	if err != nil {
		return store.User{}, failure{code: codeStorageUnavailable, cause: err}
	}
	user, _, err := p.users.UpdateProfile(ctx, sess.AppID, sess.OpenID, store.Profile{AvatarURL: address, Source: store.SourcePerson})
	if err != nil {
		return store.User{}, err
	}
	return user, refuseDisabled(user)
}

// makePicture works on few pictures at a time: each may take much memory for a moment.
func (p *public) makePicture(ctx context.Context, file []byte) (avatar.Picture, error) {
	if !p.pictures.enter(ctx) {
		return avatar.Picture{}, p.refused(uploadsInFlight)
	}
	defer p.pictures.leave()
	plan, err := avatar.Inspect(file)
	if err != nil {
		return avatar.Picture{}, failure{code: codeInvalidPicture, cause: err}
	}
	picture, err := avatar.Make(ctx, file, plan)
	if err != nil && ctx.Err() == nil {
		return avatar.Picture{}, failure{code: codeInvalidPicture, cause: err}
	}
	return picture, err
}

// upload is the body of wx.uploadFile.
type upload struct {
	token string
	file  []byte
}

// readUpload reads a multipart body of at most one file.
func readUpload(w http.ResponseWriter, r *http.Request) (upload, error) {
	mediaType, err := fields.MediaType(r.Header)
	if err != nil && !errors.Is(err, fields.ErrMediaType) {
		return upload{}, err
	}
	if mediaType != "multipart/form-data" {
		return upload{}, failure{code: codeUnsupportedMediaType, detail: "Send multipart/form-data, as wx.uploadFile does."}
	}
	control := http.NewResponseController(w)
	now := time.Now()
	_ = control.SetReadDeadline(now.Add(uploadTime)) // where it is not supported there is no shorter one to extend
	_ = control.SetWriteDeadline(now.Add(uploadTime + 20*time.Second))
	r.Body = http.MaxBytesReader(w, r.Body, avatar.MaxBytes+uploadSlack)
	parts, err := r.MultipartReader()
	if err != nil {
		return upload{}, uploadFault(err)
	}
	return readParts(parts)
}

func readParts(parts *multipart.Reader) (up upload, err error) {
	for range maxParts {
		part, err := parts.NextRawPart()
		if err == io.EOF { // wrapped in another error it says that the body was cut off
			return up, nil
		}
		if err == nil {
			err = up.take(part)
		}
		if err != nil {
			return upload{}, uploadFault(err)
		}
	}
	return upload{}, invalidRequest("The body has too many parts.")
}

// take reads one part. What nobody asks for is passed over by the next.
func (up *upload) take(part *multipart.Part) error {
	switch {
	case part.FileName() != "":
		if up.file != nil {
			return invalidRequest("The body has more than one file.")
		}
		file, err := io.ReadAll(io.LimitReader(part, avatar.MaxBytes+1))
		if len(file) > avatar.MaxBytes {
			return &http.MaxBytesError{Limit: avatar.MaxBytes}
		}
		up.file = file
		return err
	case part.FormName() == "token":
		if up.token != "" {
			return invalidRequest("A field is given twice.")
		}
		token, err := io.ReadAll(io.LimitReader(part, maxTokenBytes))
		up.token = string(token)
		return err
	}
	return nil
}

// uploadFault says what is wrong with a body that could not be read.
func uploadFault(err error) error {
	if f, ok := errors.AsType[failure](err); ok {
		return f
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return failure{code: codeRequestTooLarge, detail: "The picture is larger than 4 MiB."}
	}
	return failure{code: codeInvalidRequest, detail: "The body is not whole multipart/form-data.", cause: err}
}
