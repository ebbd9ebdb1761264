package handlers

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"wxlogin/store"
)

const (
	maxLookupIDs       = 100
	defaultChangeLimit = 100
	maxChangeLimit     = 1000
)

// serviceUser is a user for another service. An erased one is an erasedUser.
type serviceUser struct {
	ID               uint64            `json:"id"`
	Status           string            `json:"status"` // active or disabled
	UserInfo         userInfo          `json:"userInfo"`
	ProfileComplete  bool              `json:"profileComplete"`
	PhoneNumber      string            `json:"phoneNumber"` // whole, such as +8613800138000; "" if none is bound
	UnionID          string            `json:"unionid"`     // "" = not known
	ExternalID       string            `json:"externalId"`  // "" = none
	Identities       []serviceIdentity `json:"identities"`
	CreatedAt        time.Time         `json:"createdAt"`
	UpdatedAt        time.Time         `json:"updatedAt"`
	LastLoginAt      time.Time         `json:"lastLoginAt"` // up to an hour old
	LastSeenAt       time.Time         `json:"lastSeenAt"`  // up to an hour old
	ProfileUpdatedAt *time.Time        `json:"profileUpdatedAt"`
	PhoneBoundAt     *time.Time        `json:"phoneBoundAt"`
	MergedFrom       []uint64          `json:"mergedFrom,omitempty"` // ids that were asked for and were merged into this user
}

// serviceIdentity is an identity of a user.
type serviceIdentity struct {
	AppID     string    `json:"appid"`
	OpenID    string    `json:"openid"`
	CreatedAt time.Time `json:"createdAt"`
}

// usersResponse is a list of users: serviceUser or, for an erased user, erasedUser.
type usersResponse struct {
	Users []any `json:"users"`
}

func (u *userRoutes) describe(found store.FoundUser) any {
	if found.Status == store.StatusErased {
		return erasedUser{found.ID, "erased"}
	}
	user := serviceUser{
		ID: found.ID, Status: "disabled", UserInfo: newUserInfo(found.User, u.avatars), ProfileComplete: found.ProfileComplete(),
		PhoneNumber: found.Phone.Text(), UnionID: found.UnionID, ExternalID: found.ExternalID, Identities: []serviceIdentity{},
		CreatedAt: found.CreatedAt, UpdatedAt: found.UpdatedAt, LastLoginAt: found.LastLoginAt, LastSeenAt: found.LastSeenAt,
		ProfileUpdatedAt: timeOrNull(found.ProfileUpdatedAt), PhoneBoundAt: timeOrNull(found.PhoneBoundAt),
		MergedFrom: found.MergedFrom,
	}
	if found.Active() {
		user.Status = "active"
	}
	for _, i := range found.Identities {
		user.Identities = append(user.Identities, serviceIdentity{i.AppID, i.OpenID, i.CreatedAt})
	}
	return user
}

// getUser serves GET /users/{id}.
func (u *userRoutes) getUser(w http.ResponseWriter, r *http.Request) error {
	id, err := userID(r)
	if err != nil {
		return err
	}
	ctx, cancel := u.withTimeout(r)
	defer cancel()
	found, err := u.directory.Lookup(ctx, []uint64{id})
	if err == nil && len(found) == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		return unknownUser(err)
	}
	return u.writeUser(w, r, found[0])
}

func (u *userRoutes) writeUser(w http.ResponseWriter, r *http.Request, found store.FoundUser) error {
	requestLogFrom(r.Context()).userID = found.ID
	return writeJSON(w, http.StatusOK, u.describe(found))
}

// findUsers serves GET /users with one of the parameters id (up to 100 times), phone and externalId.
func (u *userRoutes) findUsers(w http.ResponseWriter, r *http.Request) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return invalidRequest("The query is malformed.")
	}
	phone, externalID := query["phone"], query["externalId"]
	switch {
	case len(query) == 1 && query.Has("id"):
		return u.findByID(w, r, query["id"])
	case len(query) == 1 && len(phone) == 1:
		return u.findByPhone(w, r, phone[0])
	case len(query) == 1 && len(externalID) == 1:
		return u.findByExternalID(w, r, externalID[0])
	}
	return invalidRequest("Send one of the parameters id, phone and externalId; only id may be repeated.")
}

func (u *userRoutes) findByID(w http.ResponseWriter, r *http.Request, values []string) error {
	if len(values) > maxLookupIDs {
		return invalidField("id", "id may be repeated up to 100 times.")
	}
	ids := make([]uint64, len(values))
	for i, value := range values {
		var err error
		if ids[i], err = strconv.ParseUint(value, 10, 64); err != nil {
			return invalidField("id", "id must be a number.")
		}
	}
	ctx, cancel := u.withTimeout(r)
	defer cancel()
	found, err := u.directory.Lookup(ctx, ids)
	return u.writeUsers(w, found, err)
}

// findByPhone takes a number with its country code and without a plus sign, which a query string turns into a space.
func (u *userRoutes) findByPhone(w http.ResponseWriter, r *http.Request, phone string) error {
	phone = strings.TrimLeft(phone, "+ ")
	if phone == "" || strings.Trim(phone, "0123456789") != "" {
		return invalidField("phone", "phone must be the digits of a number, beginning with its country code.")
	}
	ctx, cancel := u.withTimeout(r)
	defer cancel()
	found, err := u.directory.LookupPhone(ctx, phone)
	return u.writeUsers(w, found, err)
}

func (u *userRoutes) writeUsers(w http.ResponseWriter, found []store.FoundUser, err error) error {
	if err != nil {
		return err
	}
	response := usersResponse{Users: []any{}}
	for _, user := range found {
		response.Users = append(response.Users, u.describe(user))
	}
	return writeJSON(w, http.StatusOK, response)
}

func (u *userRoutes) findByExternalID(w http.ResponseWriter, r *http.Request, externalID string) error {
	if !store.ValidExternalID(externalID) {
		return invalidExternalID
	}
	ctx, cancel := u.withTimeout(r)
	defer cancel()
	found, err := u.directory.LookupExternalID(ctx, externalID)
	if err != nil {
		return unknownUser(err)
	}
	return u.writeUser(w, r, found)
}

// changesResponse is the response of GET /changes.
type changesResponse struct {
	Changes []serviceChange `json:"changes"`
}

// serviceChange is a change of a user that other services must follow.
type serviceChange struct {
	Seq        uint64    `json:"seq"`
	Kind       string    `json:"kind"`
	UserID     uint64    `json:"userId"`
	SurvivorID uint64    `json:"survivorId,omitempty"`
	Reason     string    `json:"reason,omitempty"`
	Actor      string    `json:"actor,omitempty"`
	At         time.Time `json:"at"`
}

// getChanges serves GET /changes with the parameters after and limit.
func (u *userRoutes) getChanges(w http.ResponseWriter, r *http.Request) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return invalidRequest("The query is malformed.")
	}
	after, err := numberParameter(query, "after", 0, 0, 1<<63-1)
	if err != nil {
		return err
	}
	limit, err := numberParameter(query, "limit", defaultChangeLimit, 1, maxChangeLimit)
	if err != nil {
		return err
	}
	ctx, cancel := u.withTimeout(r)
	defer cancel()
	changes, err := u.directory.Changes(ctx, after, int(limit))
	if err != nil {
		return err
	}
	response := changesResponse{Changes: []serviceChange{}}
	for _, c := range changes {
		response.Changes = append(response.Changes, serviceChange{c.Seq, c.Kind, c.UserID, c.SurvivorID, c.Reason, c.Actor, c.At})
	}
	return writeJSON(w, http.StatusOK, response)
}

// numberParameter reads an optional number from a query.
func numberParameter(query url.Values, name string, missing, least, most uint64) (uint64, error) {
	if !query.Has(name) {
		return missing, nil
	}
	n, err := strconv.ParseUint(query.Get(name), 10, 64)
	if err != nil || n < least || n > most || len(query[name]) > 1 {
		return 0, invalidField(name, name+" must be one number from "+strconv.FormatUint(least, 10)+" to "+
			strconv.FormatUint(most, 10)+".")
	}
	return n, nil
}
