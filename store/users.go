package store

import (
	"context"
	"database/sql"
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

// userRow is a row of users.
type userRow struct {
	ID               uint64  `gorm:"primaryKey;autoIncrement"`
	UnionID          *string `gorm:"column:unionid"`
	Status           Status
	MergedInto       *uint64
	NickName         string `gorm:"column:nickname"`
	AvatarURL        string `gorm:"column:avatar_url"`
	Gender           int
	Country          string
	Province         string
	City             string
	Language         string
	ProfileAsOf      *time.Time
	ProfileUpdatedAt *time.Time
	ProfileSource    ProfileSource
	PhoneCountryCode *string
	PhoneNumber      *string
	PhoneBoundAt     *time.Time
	CreatedAt        time.Time `gorm:"autoCreateTime:false"`
	UpdatedAt        time.Time `gorm:"autoUpdateTime:false"`
	LastLoginAt      time.Time
}

// TableName implements GORM's Tabler.
func (userRow) TableName() string { return "users" }

// identityRow is a row of wechat_identities.
type identityRow struct {
	AppID     string `gorm:"column:appid;primaryKey"`
	OpenID    string `gorm:"column:openid;primaryKey"`
	UserID    uint64
	CreatedAt time.Time `gorm:"autoCreateTime:false"`
}

// TableName implements GORM's Tabler.
func (identityRow) TableName() string { return "wechat_identities" }

// mergeRow is a row of user_merges.
type mergeRow struct {
	ID         uint64 `gorm:"primaryKey;autoIncrement"`
	SurvivorID uint64
	MergedID   uint64
	UnionID    string `gorm:"column:unionid"`
	AppID      string `gorm:"column:appid"`
	MergedAt   time.Time
}

// TableName implements GORM's Tabler.
func (mergeRow) TableName() string { return "user_merges" }

// columns are where the columns of selectUser go, in their order.
func (r *userRow) columns() []any {
	return []any{
		&r.ID, &r.UnionID, &r.Status, &r.MergedInto, &r.NickName, &r.AvatarURL, &r.Gender, &r.Country,
		&r.Province, &r.City, &r.Language, &r.ProfileAsOf, &r.ProfileUpdatedAt, &r.ProfileSource,
		&r.PhoneCountryCode, &r.PhoneNumber, &r.PhoneBoundAt, &r.CreatedAt, &r.UpdatedAt, &r.LastLoginAt,
	}
}

func (u *Users) byIdentity(ctx context.Context, appID, openID string) (userRow, error) {
	return u.db.lookups.find(ctx, appID, openID)
}

func (u *Users) byUnionID(ctx context.Context, unionID string) (userRow, error) {
	return u.db.direct.one(ctx, selectByUnionID, unionID)
}

// Find returns the user with this identity as the database has it.
//
// Errors: ErrNotFound, ErrIdentity, ErrUnavailable, context.Canceled; anything else is a fault of the installation.
func (u *Users) Find(ctx context.Context, appID, openID string) (User, error) {
	if err := (Identity{AppID: appID, OpenID: openID}).validate(); err != nil {
		return User{}, err
	}
	var row userRow
	err := retry(ctx, func() (err error) {
		row, err = u.byIdentity(ctx, appID, openID)
		return err
	})
	if err != nil {
		return User{}, u.db.fault(ctx, "find", err)
	}
	return row.user(), nil
}

// identity is who is looked up.
type identity struct{ appID, openID string }

// lookups finds users by identity; at the same time, those of one mini-program together.
type lookups struct {
	direct direct
	shared *together[identity, userRow]
}

func newLookups(d direct, now func() time.Time) *lookups {
	l := &lookups{direct: d}
	l.shared = &together[identity, userRow]{alone: l.one, many: l.read, fits: sameApp, now: now}
	return l
}

// find reads the user with this identity. It returns ErrNotFound where there is none.
func (l *lookups) find(ctx context.Context, appID, openID string) (userRow, error) {
	return l.shared.do(ctx, identity{appID, openID})
}

func (l *lookups) one(ctx context.Context, id identity) (userRow, error) {
	return l.direct.one(ctx, selectByIdentity, id.appID, id.openID)
}

func sameApp(calls []*call[identity, userRow], id identity) bool {
	return len(calls) == 0 || calls[0].asked.appID == id.appID
}

// read gives each call its row.
func (l *lookups) read(ctx context.Context, calls []*call[identity, userRow]) error {
	q, size := sets{selectBy4Identities, selectBy16Identities}.of(len(calls))
	args := make([]any, 0, 1+size)
	args = append(args, calls[0].asked.appID)
	for _, id := range filled(calls, size) {
		args = append(args, id.openID)
	}
	var row userRow
	var openID string
	columns := append(row.columns(), &openID)
	err := l.direct.read(ctx, q, args, func(rows *sql.Rows) error {
		if err := rows.Scan(columns...); err != nil {
			return err
		}
		for _, c := range calls {
			if c.asked.openID == openID {
				c.answer = row
			}
		}
		return nil
	})
	for _, c := range calls {
		if c.answer.ID == 0 {
			c.err = ErrNotFound
		}
	}
	return err
}
