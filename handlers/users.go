package handlers

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"

	"wxlogin/internal/request"
	"wxlogin/store"
	"wxlogin/wechat/push"
)

// Directory reads and changes users for the team's other services. *store.Users implements it.
//
// If MySQL is unavailable, every method returns store.ErrUnavailable. All Lookup methods but LookupCurrent may return users as
// they were a few seconds ago.
type Directory interface {
	Lookup(ctx context.Context, ids []uint64) ([]store.FoundUser, error)
	LookupCurrent(ctx context.Context, id uint64) (store.FoundUser, error)
	LookupPhone(ctx context.Context, phone string) ([]store.FoundUser, error)
	LookupExternalID(ctx context.Context, id string) (store.FoundUser, error)
	SetStatus(ctx context.Context, id uint64, status store.Status, c store.Cause) (user store.User, changed bool, err error)
	SetExternalID(ctx context.Context, userID uint64, id string, c store.Cause) (store.User, error)
	Changes(ctx context.Context, after uint64, limit int) ([]store.Change, error)
}

// userRoutes serves the routes of the internal listener about users.
type userRoutes struct {
	appIDs    []string
	directory Directory
	eraser    Eraser
	events    *personalEvents
	avatars   Avatars // nil: no uploads
	metrics   *Metrics
	timeout   time.Duration // of each step that waits for MySQL
}

// mountUsers adds the routes about users. Those that write require a configured key, the others what guard requires.
func mountUsers(r *chi.Mux, o InternalOptions, guard func(http.Handler) http.Handler) {
	u := &userRoutes{
		appIDs: o.AppIDs, directory: o.Directory, eraser: o.Eraser, events: newPersonalEvents(o.Eraser, o.StorageTimeout),
		avatars: o.Avatars, metrics: o.Metrics, timeout: o.StorageTimeout,
	}
	read := func(pattern string, h func(http.ResponseWriter, *http.Request) error) {
		r.Method(http.MethodGet, pattern, guard(handle(h)))
	}
	write := func(method, pattern string, h func(http.ResponseWriter, *http.Request) error) {
		r.Method(method, pattern, requireConfiguredAPIKey(o.APIKeys, handle(h)))
	}
	read("/users", u.findUsers)
	read("/users/{id}", u.getUser)
	read("/changes", u.getChanges)
	write(http.MethodDelete, "/users/{id}", u.deleteUser)
	write(http.MethodPut, "/users/{id}/status", u.putStatus)
	write(http.MethodPut, "/users/{id}/externalId", u.putExternalID)
	write(http.MethodDelete, "/users/{id}/externalId", u.deleteExternalID)
	write(http.MethodPost, "/wechatEvent", u.wechatEvent)
}

// withTimeout bounds a step that waits for MySQL.
func (u *userRoutes) withTimeout(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(r.Context(), u.timeout)
}

// erasedUser is an erased user for another service.
type erasedUser struct {
	ID     uint64 `json:"id"`
	Status string `json:"status"` // "erased"
}

// deleteUser serves DELETE /users/{id}: it erases a user, whatever its status. It may be repeated.
func (u *userRoutes) deleteUser(w http.ResponseWriter, r *http.Request) error {
	f, err := readOptionalFields(w, r)
	if err != nil {
		return err
	}
	id, err := userID(r)
	if err != nil {
		return err
	}
	ctx, cancel := u.withTimeout(r)
	defer cancel()
	user, err := u.eraser.Erase(ctx, id, store.Cause{Reason: store.ReasonAdmin, Actor: requestLogFrom(ctx).apiKey, Note: f["reason"]})
	if err != nil {
		return unknownUser(err)
	}
	requestLogFrom(ctx).userID = user.ID
	return writeJSON(w, http.StatusOK, erasedUser{user.ID, "erased"})
}

// putStatus serves PUT /users/{id}/status: it disables or enables a user.
func (u *userRoutes) putStatus(w http.ResponseWriter, r *http.Request) error {
	f, err := readOptionalFields(w, r)
	if err != nil {
		return err
	}
	id, err := userID(r)
	if err != nil {
		return err
	}
	status, ok := map[string]store.Status{"active": store.StatusActive, "disabled": store.StatusDisabled}[f["status"]]
	if !ok {
		return invalidField("status", "status must be active or disabled.")
	}
	ctx, cancel := u.withTimeout(r)
	defer cancel()
	user, _, err := u.directory.SetStatus(ctx, id, status, store.Cause{Reason: f["reason"], Actor: requestLogFrom(ctx).apiKey})
	if err == nil && user.Status != status { // it was merged or erased
		err = store.ErrNotFound
	}
	if err != nil {
		return unknownUser(err)
	}
	return u.writeCurrent(ctx, w, r, id)
}

// writeCurrent responds with a user after a change.
func (u *userRoutes) writeCurrent(ctx context.Context, w http.ResponseWriter, r *http.Request, id uint64) error {
	user, err := u.directory.LookupCurrent(ctx, id)
	if err != nil {
		return unknownUser(err)
	}
	return u.writeUser(w, r, user)
}

// putExternalID serves PUT /users/{id}/externalId.
func (u *userRoutes) putExternalID(w http.ResponseWriter, r *http.Request) error {
	f, err := readOptionalFields(w, r)
	if err != nil {
		return err
	}
	externalID, err := f.Required("externalId")
	if err != nil {
		return err
	}
	if !store.ValidExternalID(externalID) {
		return invalidExternalID
	}
	return u.setExternalID(w, r, externalID)
}

var invalidExternalID = invalidField("externalId", "externalId must be 1 to 128 printable ASCII characters without spaces.")

// deleteExternalID serves DELETE /users/{id}/externalId. It may be repeated.
func (u *userRoutes) deleteExternalID(w http.ResponseWriter, r *http.Request) error {
	return u.setExternalID(w, r, "")
}

func (u *userRoutes) setExternalID(w http.ResponseWriter, r *http.Request, externalID string) error {
	id, err := userID(r)
	if err != nil {
		return err
	}
	ctx, cancel := u.withTimeout(r)
	defer cancel()
	_, err = u.directory.SetExternalID(ctx, id, externalID, store.Cause{Actor: requestLogFrom(ctx).apiKey})
	if errors.Is(err, store.ErrTaken) {
		return apiError{code: codeConflict}
	}
	if err != nil {
		return unknownUser(err)
	}
	return u.writeCurrent(ctx, w, r, id)
}

// wechatEvent serves POST /wechatEvent: a decrypted event of WeChat as JSON, for teams whose own receiver has the URL.
func (u *userRoutes) wechatEvent(w http.ResponseWriter, r *http.Request) error {
	message, err := io.ReadAll(http.MaxBytesReader(w, r.Body, request.MaxBody))
	if err != nil {
		return bodyError(err)
	}
	event, err := push.ParseEvent(message)
	if err != nil {
		u.metrics.push(event, pushMalformed)
		return pushError(err)
	}
	if !slices.Contains(u.appIDs, event.AppID) {
		u.metrics.push(event, pushRejected)
		return invalidField("AppID", "AppID is not a mini-program of this server.")
	}
	requestLogFrom(r.Context()).appID = event.AppID
	outcome, err := u.events.apply(r.Context(), event.AppID, event, message)
	u.metrics.push(event, outcome)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, struct{}{})
}

// userID returns the user's id in the path.
func userID(r *http.Request) (uint64, error) {
	id, err := strconv.ParseUint(chi.URLParam(r, "id"), 10, 64)
	if err != nil {
		return 0, unknownUser(store.ErrNotFound)
	}
	return id, nil
}

// unknownUser makes a 404 of the error that no user has an id.
func unknownUser(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return apiError{code: codeNotFound, detail: "There is no such user."}
	}
	return err
}
