package client

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// Status says whether a user may log in.
type Status string

// The statuses of users.
const (
	StatusActive   Status = "active"
	StatusDisabled Status = "disabled" // may not log in
	StatusErased   Status = "erased"   // nothing is known of the user any more
)

// UserInfo is a profile, in WeChat's words. Fields that are not known are empty.
type UserInfo struct {
	NickName  string `json:"nickName"`
	AvatarURL string `json:"avatarUrl"`
	Gender    int    `json:"gender"` // 0 unknown, 1 male, 2 female
	Country   string `json:"country"`
	Province  string `json:"province"`
	City      string `json:"city"`
	Language  string `json:"language"`
}

// Identity is a user in one mini-program.
type Identity struct {
	AppID     string    `json:"appid"`
	OpenID    string    `json:"openid"`
	CreatedAt time.Time `json:"createdAt"`
}

// User is a person. Of an erased one only ID and Status are set. It holds personal data: do not log it.
type User struct {
	ID              uint64     `json:"id"`
	Status          Status     `json:"status"`
	UserInfo        UserInfo   `json:"userInfo"`
	ProfileComplete bool       `json:"profileComplete"` // has a nickname and an avatar
	PhoneNumber     string     `json:"phoneNumber"`     // whole, such as +8613800138000; "" if none is bound
	UnionID         string     `json:"unionid"`
	ExternalID      string     `json:"externalId"`
	Identities      []Identity `json:"identities"`

	CreatedAt        time.Time `json:"createdAt"`
	UpdatedAt        time.Time `json:"updatedAt"`
	LastLoginAt      time.Time `json:"lastLoginAt"`      // up to an hour old
	LastSeenAt       time.Time `json:"lastSeenAt"`       // up to an hour old
	ProfileUpdatedAt time.Time `json:"profileUpdatedAt"` // zero if never
	PhoneBoundAt     time.Time `json:"phoneBoundAt"`     // zero if never

	// MergedFrom are the ids that were asked for and that were merged into this user.
	MergedFrom []uint64 `json:"mergedFrom"`
}

func (u *User) valid() bool { return u.ID != 0 && u.Status != "" }

// userList is a response with several users.
type userList struct {
	Users []User `json:"users"`
}

func (l *userList) valid() bool {
	return l.Users != nil && !slices.ContainsFunc(l.Users, func(u User) bool { return !u.valid() })
}

// maxIDs is the number of ids that the server takes in one request.
const maxIDs = 100

// User returns a user, sometimes as it was a few seconds ago. For the id of a user who was merged into another it returns
// the other one. It returns ErrNotFound if no user has this id.
func (c *Client) User(ctx context.Context, id uint64) (User, error) {
	var u User
	err := c.do(ctx, call{op: "User", method: http.MethodGet, path: userPath(id)}, &u)
	return u, err
}

// Users returns the users with these ids, in no particular order, by one request for each hundred. Unknown ids are left out,
// and those of merged users stand for the users that stayed.
func (c *Client) Users(ctx context.Context, ids ...uint64) ([]User, error) {
	var users []User
	for some := range slices.Chunk(ids, maxIDs) {
		query := make(url.Values)
		for _, id := range some {
			query.Add("id", formatID(id))
		}
		found, err := c.listUsers(ctx, "Users", query)
		if err != nil {
			return nil, err
		}
		users = append(users, found...)
	}
	return users, nil
}

// UsersByPhone returns the users who have a phone number, written with its country code, such as +8613800138000. A number may
// be several people's.
func (c *Client) UsersByPhone(ctx context.Context, phone string) ([]User, error) {
	return c.listUsers(ctx, "UsersByPhone", url.Values{"phone": {phone}})
}

func (c *Client) listUsers(ctx context.Context, op string, query url.Values) ([]User, error) {
	var list userList
	err := c.do(ctx, call{op: op, method: http.MethodGet, path: "users", query: query}, &list)
	return list.Users, err
}

// UserByExternalID returns the user who has an external id, or ErrNotFound.
func (c *Client) UserByExternalID(ctx context.Context, externalID string) (User, error) {
	var u User
	r := call{op: "UserByExternalID", method: http.MethodGet, path: "users", query: url.Values{"externalId": {externalID}}}
	err := c.do(ctx, r, &u)
	return u, err
}

// SetStatus blocks a user (StatusDisabled) or lifts the block (StatusActive). The server records the reason, which should
// name no person. It returns ErrNotFound for an unknown, merged or erased id.
func (c *Client) SetStatus(ctx context.Context, id uint64, status Status, reason string) error {
	form := url.Values{"status": {string(status)}, "reason": {reason}}
	return c.do(ctx, call{op: "SetStatus", method: http.MethodPut, path: userPath(id) + "/status", form: form}, &done{})
}

// SetExternalID gives a user the id that another system has for the same person: 1 to 128 printable ASCII characters
// without spaces. It returns ErrConflict if another user has it, and ErrNotFound for an unknown, merged or erased id.
func (c *Client) SetExternalID(ctx context.Context, id uint64, externalID string) error {
	form := url.Values{"externalId": {externalID}}
	return c.do(ctx, call{op: "SetExternalID", method: http.MethodPut, path: userPath(id) + "/externalId", form: form}, &done{})
}

// RemoveExternalID takes a user's external id away. It may be repeated.
func (c *Client) RemoveExternalID(ctx context.Context, id uint64) error {
	return c.do(ctx, call{op: "RemoveExternalID", method: http.MethodDelete, path: userPath(id) + "/externalId"}, &done{})
}

// Erase deletes all that is known of a user, for ever, and ends all sessions. For the id of a merged user it erases the one
// that stayed. The server records the reason, which should name no person. It may be repeated.
func (c *Client) Erase(ctx context.Context, id uint64, reason string) error {
	r := call{op: "Erase", method: http.MethodDelete, path: userPath(id), form: url.Values{"reason": {reason}}}
	return c.do(ctx, r, &done{})
}

func userPath(id uint64) string { return "users/" + formatID(id) }

func formatID(id uint64) string { return strconv.FormatUint(id, 10) }
