package store

import (
	"fmt"
	"time"
)

// Users are the people who logged in. It is safe for concurrent use; DB.Users makes one.
type Users struct{ db *DB }

// Status says whether a user may use the service: see User.Active.
type Status uint8

// The values of users.status.
const (
	StatusActive   Status = 1
	StatusDisabled Status = 2 // by an administrator
	StatusMerged   Status = 3 // into another user, who took over all identities
)

// ProfileSource says who filled in the nickname or the avatar last.
type ProfileSource uint8

// The values of users.profile_source.
const (
	SourceNone   ProfileSource = 0 // neither is known
	SourceWeChat ProfileSource = 1 // it came from WeChat
	SourceUser   ProfileSource = 2 // the person typed the nickname or chose the avatar
)

// Phone is a phone number. The zero value is none.
type Phone struct {
	CountryCode string // digits only, such as 86; up to 8
	Number      string // national number, digits only; up to 32
}

// User is a person as the database has it.
type User struct {
	ID      uint64
	UnionID string // "" = not known
	Status  Status
	Profile // AsOf: the watermark of the newest data that changed it; zero = never filled in

	ProfileUpdatedAt time.Time // zero = never filled in
	Phone            Phone
	PhoneBoundAt     time.Time // zero = no phone bound
	CreatedAt        time.Time // first login
	UpdatedAt        time.Time // last change, LastLoginAt aside
	LastLoginAt      time.Time // last login; up to an hour old
}

// ProfileComplete reports whether the nickname and the avatar are known. WeChat's anonymous placeholders are not to be
// stored in the first place (wechat.UserInfo.Real blanks them).
func (u User) ProfileComplete() bool { return u.NickName != "" && u.AvatarURL != "" }

// Active reports whether this user may use the service. Every status but StatusActive says no, also one that this version
// does not know.
func (u User) Active() bool { return u.Status == StatusActive }

// Identity is who WeChat says that somebody is.
type Identity struct {
	AppID   string // of the mini-program; 1 to 32 characters
	OpenID  string // the person within the mini-program, case-sensitive; 1 to 64 characters
	UnionID string // the person over all mini-programs of one Open Platform account; "" = not known
}

const (
	maxAppID   = 32
	maxOpenID  = 64
	maxUnionID = 64
)

// validate refuses what cannot be stored as it is: the columns are ASCII, and MySQL ignores spaces at the end.
func (id Identity) validate() error {
	switch {
	case id.AppID == "" || !fits(id.AppID, maxAppID):
		return fmt.Errorf("%w: AppID", ErrIdentity)
	case id.OpenID == "" || !fits(id.OpenID, maxOpenID):
		return fmt.Errorf("%w: OpenID", ErrIdentity)
	case !fits(id.UnionID, maxUnionID):
		return fmt.Errorf("%w: UnionID", ErrIdentity)
	}
	return nil
}

func fits(s string, limit int) bool {
	if len(s) > limit {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

func (r userRow) user() User {
	return User{
		ID:               r.ID,
		UnionID:          deref(r.UnionID),
		Status:           r.Status,
		Profile:          r.profile(),
		ProfileUpdatedAt: deref(r.ProfileUpdatedAt),
		Phone:            Phone{deref(r.PhoneCountryCode), deref(r.PhoneNumber)},
		PhoneBoundAt:     deref(r.PhoneBoundAt),
		CreatedAt:        r.CreatedAt,
		UpdatedAt:        r.UpdatedAt,
		LastLoginAt:      r.LastLoginAt,
	}
}

// source is who filled in the profile. A server of the first version, which may still run beside this one, knows WeChat
// only and leaves the column as it is.
func (r userRow) source() ProfileSource {
	if r.ProfileSource == SourceNone && (r.NickName != "" || r.AvatarURL != "") {
		return SourceWeChat
	}
	return r.ProfileSource
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
