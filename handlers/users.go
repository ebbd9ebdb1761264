package handlers

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"

	"github.com/go-chi/chi/v5"

	"wxlogin/internal/request"
	"wxlogin/store"
	"wxlogin/wechat/push"
)

// currentKey names the service that has INTERNAL_API_KEY, in user_changes.
const currentKey = "current"

// userAdmin changes users for the team's other services.
type userAdmin struct {
	appIDs  []string
	eraser  Eraser
	events  *personalEvents
	metrics *Metrics
}

// mountUsers adds the routes of the internal listener that change users. Unlike the others they require a configured key.
func mountUsers(r *chi.Mux, o InternalOptions) {
	u := &userAdmin{o.AppIDs, o.Eraser, newPersonalEvents(o.Eraser, o.StorageTimeout), o.Metrics}
	guard := func(h func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
		if o.APIKey == "" {
			h = func(http.ResponseWriter, *http.Request) error {
				return apiError{code: codeInvalidAPIKey, detail: "This route requires that the server has an INTERNAL_API_KEY."}
			}
		}
		return requireAPIKey(o.APIKey, apiKeyOf, codeInvalidAPIKey, handle(h)).ServeHTTP
	}
	r.Delete("/users/{id}", guard(u.deleteUser))
	r.Post("/wechatEvent", guard(u.wechatEvent))
}

// erasedResponse is the response about an erased user.
type erasedResponse struct {
	ID     uint64 `json:"id"`
	Status string `json:"status"` // "erased"
}

// deleteUser serves DELETE /users/{id}: it erases a user, whatever its status. It may be repeated.
func (u *userAdmin) deleteUser(w http.ResponseWriter, r *http.Request) error {
	f, err := readOptionalFields(w, r)
	if err != nil {
		return err
	}
	id, err := strconv.ParseUint(chi.URLParam(r, "id"), 10, 64)
	if err != nil {
		return unknownUser(store.ErrNotFound)
	}
	ctx, cancel := context.WithTimeout(r.Context(), u.events.timeout)
	defer cancel()
	user, err := u.eraser.Erase(ctx, id, store.Cause{Reason: store.ReasonAdmin, Actor: currentKey, Note: f["reason"]})
	if err != nil {
		return unknownUser(err)
	}
	requestLogFrom(ctx).userID = user.ID
	return writeJSON(w, http.StatusOK, erasedResponse{user.ID, "erased"})
}

// wechatEvent serves POST /wechatEvent: a decrypted event of WeChat as JSON, for teams whose own receiver has the URL.
func (u *userAdmin) wechatEvent(w http.ResponseWriter, r *http.Request) error {
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

// unknownUser makes a 404 of the error that no user has an id.
func unknownUser(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return apiError{code: codeNotFound, detail: "There is no user with this id."}
	}
	return err
}
