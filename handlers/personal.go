package handlers

import (
	"context"
	"net/http"
	"time"

	"wxlogin/internal/request"
	"wxlogin/session"
	"wxlogin/store"
)

// freshSession is how old a session may be for what a stolen token must not do.
const freshSession = 5 * time.Minute

// Eraser erases users and removes parts of them, everywhere. *erasure.Eraser implements it.
//
// Its errors are those of Users. A method may be called again after an error.
type Eraser interface {
	Erase(ctx context.Context, id uint64, c store.Cause) (store.User, error)
	EraseIdentity(ctx context.Context, appID, openID string, before time.Time, c store.Cause) (store.User, error)
	Remove(ctx context.Context, appID, openID string, r store.Removal, c store.Cause) (store.User, error)
}

// requireFresh returns an error unless a session has just begun. A client can begin one without asking the user; a thief
// of a token cannot.
func (p *public) requireFresh(sess session.Session) error {
	if p.sessions.Age(sess) > freshSession {
		return apiError{code: codeStaleSession}
	}
	return nil
}

// deleteAccount serves POST /deleteAccount: it erases the session's user.
func (p *public) deleteAccount(w http.ResponseWriter, r *http.Request) error {
	f, err := request.Read(w, r)
	if err != nil {
		return err
	}
	sess, err := p.sessionForUpdate(r.Context(), r, f)
	if err != nil {
		return err
	}
	if f["confirm"] != "delete" {
		return invalidField("confirm", `confirm must be "delete".`)
	}
	if err := p.requireFresh(sess); err != nil {
		return err
	}
	ctx, cancel := p.withStorageTimeout(r.Context())
	defer cancel()
	user, err := p.eraser.EraseIdentity(ctx, sess.AppID, sess.OpenID, time.Time{}, store.Cause{Reason: store.ReasonUser})
	if err != nil {
		return err
	}
	if user.Status != store.StatusErased {
		return rejectDisabled(ctx, user)
	}
	requestLogFrom(ctx).userID = user.ID
	return writeJSON(w, http.StatusOK, statusResponse{Status: http.StatusOK})
}

// unbindPhone serves POST /unbindPhone: it removes the phone number of the session's user.
func (p *public) unbindPhone(w http.ResponseWriter, r *http.Request) error {
	f, err := readOptionalFields(w, r)
	if err != nil {
		return err
	}
	sess, err := p.sessionForUpdate(r.Context(), r, f)
	if err != nil {
		return err
	}
	ctx, cancel := p.withStorageTimeout(r.Context())
	defer cancel()
	user, err := p.eraser.Remove(ctx, sess.AppID, sess.OpenID, store.Removal{Phone: true}, store.Cause{Reason: store.ReasonUser})
	if err != nil {
		return err
	}
	if err := rejectDisabled(ctx, user); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, statusResponse{Status: http.StatusOK})
}

// myDataResponse is the response of GET /myData.
type myDataResponse struct {
	Status int          `json:"status"`
	Data   personalData `json:"data"`
}

// personalData is what is stored about a user, for that user. It has no openid and no unionid, as no response of the public
// listener.
type personalData struct {
	ID            uint64           `json:"id"`
	personalParts                  // of the user
	Apps          []personalApp    `json:"apps"`
	LastLoginAt   time.Time        `json:"lastLoginAt"` // up to an hour old
	LastSeenAt    time.Time        `json:"lastSeenAt"`  // up to an hour old
	Merged        []mergedPerson   `json:"merged"`      // earlier accounts of the same person
	Changes       []personalChange `json:"changes"`
}

// personalParts is what is stored of a profile.
type personalParts struct {
	UserInfo         userInfo   `json:"userInfo"`
	ProfileSource    string     `json:"profileSource"` // none, wechat or person
	ProfileUpdatedAt *time.Time `json:"profileUpdatedAt"`
	PhoneNumber      string     `json:"phoneNumber"` // whole, such as +8613800138000; "" if none is bound
	PhoneBoundAt     *time.Time `json:"phoneBoundAt"`
	ExternalID       string     `json:"externalId"` // in another system of the team; "" = none
	CreatedAt        time.Time  `json:"createdAt"`
	UpdatedAt        time.Time  `json:"updatedAt"`
}

type personalApp struct {
	AppID     string    `json:"appid"`
	CreatedAt time.Time `json:"createdAt"`
}

type mergedPerson struct {
	ID uint64 `json:"id"`
	personalParts
}

type personalChange struct {
	Kind   string    `json:"kind"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// getMyData serves GET /myData: everything that is stored about the session's user. It is the only response with a whole
// phone number. The token must be in the header, because proxies log URLs.
func (p *public) getMyData(w http.ResponseWriter, r *http.Request) error {
	sess, err := p.sessionForUpdate(r.Context(), r, nil)
	if err != nil {
		return err
	}
	if err := p.requireFresh(sess); err != nil {
		return err
	}
	user, err := p.currentUser(r.Context(), sess)
	if err != nil {
		return err
	}
	ctx, cancel := p.withStorageTimeout(r.Context())
	defer cancel()
	record, err := p.users.Record(ctx, user.ID)
	if err != nil {
		return err
	}
	if err := rejectDisabled(ctx, record.User); err != nil { // it was erased or disabled in between
		return err
	}
	return writeJSON(w, http.StatusOK, myDataResponse{http.StatusOK, p.personalData(record)})
}

func (p *public) personalData(r store.Record) personalData {
	data := personalData{
		ID: r.ID, personalParts: p.personalParts(r.User), LastLoginAt: r.LastLoginAt, LastSeenAt: r.LastSeenAt,
		Apps: []personalApp{}, Merged: []mergedPerson{}, Changes: []personalChange{},
	}
	for _, i := range r.Identities {
		data.Apps = append(data.Apps, personalApp{i.AppID, i.CreatedAt})
	}
	for _, m := range r.Merged {
		data.Merged = append(data.Merged, mergedPerson{m.ID, p.personalParts(m)})
	}
	for _, c := range r.Changes {
		data.Changes = append(data.Changes, personalChange{c.Kind, c.Reason, c.At})
	}
	return data
}

func (p *public) personalParts(u store.User) personalParts {
	sources := map[store.ProfileSource]string{store.SourceWeChat: "wechat", store.SourceUser: "person"}
	source := sources[u.Source]
	if source == "" {
		source = "none"
	}
	return personalParts{
		UserInfo: p.userInfo(u), ProfileSource: source, ProfileUpdatedAt: timeOrNull(u.ProfileUpdatedAt),
		PhoneNumber: u.Phone.Text(), PhoneBoundAt: timeOrNull(u.PhoneBoundAt),
		ExternalID: u.ExternalID, CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt,
	}
}

// timeOrNull makes the zero time null in JSON.
func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
