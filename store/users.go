package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"wxlogin/internal/batch"
)

// Users reads and writes users. It is safe for concurrent use; [DB.Users] returns one.
type Users struct{ db *DB }

// Status says whether a user may use the service: see [User.Active].
type Status uint8

// The values of users.status.
const (
	StatusActive   Status = 1
	StatusDisabled Status = 2 // by an administrator
	StatusMerged   Status = 3 // into another user, which has all its identities now
	StatusErased   Status = 4 // only the id and the times are left
)

// ProfileSource says where the nickname or the avatar came from last.
type ProfileSource uint8

// The values of users.profile_source.
const (
	SourceNone   ProfileSource = 0 // neither is known
	SourceWeChat ProfileSource = 1 // from WeChat
	SourceUser   ProfileSource = 2 // the user typed the nickname or chose the avatar
)

// Phone is a phone number. The zero value means none.
type Phone struct {
	CountryCode string // 1 to 8 digits, such as 86
	Number      string // national number, 1 to 32 digits
}

// Text returns the number as people write it, such as +8613800138000, or "" if there is none.
func (p Phone) Text() string {
	if p == (Phone{}) {
		return ""
	}
	return "+" + p.CountryCode + p.Number
}

// User is a user as stored.
type User struct {
	ID         uint64
	UnionID    string // "" = not known
	ExternalID string // in another system; "" = none
	Status     Status
	Profile    // AsOf is the watermark of the newest data that changed it; zero = never filled in

	ProfileUpdatedAt time.Time // zero = never filled in
	Phone            Phone
	PhoneBoundAt     time.Time // zero = no phone bound
	CreatedAt        time.Time // first login
	UpdatedAt        time.Time // last change, except of LastLoginAt and LastSeenAt
	LastLoginAt      time.Time // last login; up to an hour old
	LastSeenAt       time.Time // last request; up to an hour old, but of the same day
}

// ProfileComplete reports whether the nickname and the avatar are known. WeChat's anonymous placeholders must not be
// stored in the first place (wechat.UserInfo.Real removes them).
func (u User) ProfileComplete() bool { return u.NickName != "" && u.AvatarURL != "" }

// Active reports whether the user may use the service. It is false for every status but StatusActive, including values
// that this version does not know.
func (u User) Active() bool { return u.Status == StatusActive }

// Identity identifies a WeChat user.
type Identity struct {
	AppID   string // of the mini-program; 1 to 32 characters
	OpenID  string // the user within the mini-program, case-sensitive; 1 to 64 characters
	UnionID string // the user within all mini-programs of one Open Platform account; "" = not known
}

const (
	maxAppID   = 32
	maxOpenID  = 64
	maxUnionID = 64

	// MaxExternalID is the maximum length of User.ExternalID.
	MaxExternalID = 128
)

// validate refuses what the columns would not keep exactly: they are ASCII, and MySQL ignores trailing spaces.
func (id Identity) validate() error {
	switch {
	case id.AppID == "" || !isPrintable(id.AppID, maxAppID):
		return fmt.Errorf("%w: AppID", ErrIdentity)
	case id.OpenID == "" || !isPrintable(id.OpenID, maxOpenID):
		return fmt.Errorf("%w: OpenID", ErrIdentity)
	case !isPrintable(id.UnionID, maxUnionID):
		return fmt.Errorf("%w: UnionID", ErrIdentity)
	}
	return nil
}

// isPrintable reports whether s is at most limit printable ASCII characters, without spaces.
func isPrintable(s string, limit int) bool {
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

// Find returns the user with this identity, for a request of that user: it keeps last_seen_at within the hour and the
// day, and counts the user as active on that day. [Users.Record] is for requests of others.
//
// Errors: ErrNotFound, ErrIdentity, ErrUnavailable, context.Canceled; any other error is a defect of the installation.
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
		return User{}, u.db.wrapError(ctx, "find", err)
	}
	u.seen(ctx, appID, row)
	return row.user(), nil
}

// FindOnReplica is Find for callers that accept slightly stale data. It reads from a replica, if there are any, and
// from the primary if the replica does not have the user yet or fails. Its result may be as old as the replication's
// delay: for that long, a user that was disabled or merged may still be returned as before.
//
// Errors: as Find.
func (u *Users) FindOnReplica(ctx context.Context, appID, openID string) (User, error) {
	if err := (Identity{AppID: appID, OpenID: openID}).validate(); err != nil {
		return User{}, err
	}
	if u.db.replicas.ready() {
		if row, err := u.db.replicas.byIdentity(ctx, identityKey{appID, openID}); err == nil {
			u.seen(ctx, appID, row)
			return row.user(), nil
		}
	}
	return u.Find(ctx, appID, openID)
}

func (u *Users) byIdentity(ctx context.Context, appID, openID string) (userRow, error) {
	return u.db.loader.load(ctx, identityKey{appID, openID})
}

func (u *Users) byUnionID(ctx context.Context, unionID string) (userRow, error) {
	return u.db.queries.queryUser(ctx, selectByUnionID, unionID)
}

// userLoader finds users by identity. Concurrent calls for one mini-program share a statement.
type userLoader struct {
	hot     hotQueries
	batcher *batch.Batcher[identityKey, userRow]
}

type identityKey struct{ appID, openID string }

func newUserLoader(hot hotQueries, now func() time.Time) *userLoader {
	l := &userLoader{hot: hot}
	l.batcher = &batch.Batcher[identityKey, userRow]{
		Single: l.loadOne, Batch: l.loadMany, Joinable: sameApp, Retryable: retryable, Timeout: readTimeout, Now: now,
	}
	return l
}

// load returns ErrNotFound if there is no such user.
func (l *userLoader) load(ctx context.Context, key identityKey) (userRow, error) {
	row, err := l.batcher.Do(ctx, key)
	if err == nil && row.ID == 0 {
		err = ErrNotFound
	}
	return row, err
}

func (l *userLoader) loadOne(ctx context.Context, key identityKey) (userRow, error) {
	return l.hot.queryUser(ctx, selectByIdentity, key.appID, key.openID)
}

func sameApp(a, b identityKey) bool { return a.appID == b.appID }

// loadMany returns the zero userRow for a user that it does not find.
func (l *userLoader) loadMany(ctx context.Context, keys []identityKey) ([]userRow, error) {
	id, size := stmtSizes{selectBy4Identities, selectBy16Identities}.forCount(len(keys))
	args := make([]any, 0, 1+size)
	args = append(args, keys[0].appID)
	for _, key := range padded(keys, size) {
		args = append(args, key.openID)
	}
	found := make([]userRow, len(keys))
	var row userRow
	var openID string
	columns := append(row.columns(), &openID)
	err := l.hot.query(ctx, id, args, func(rows *sql.Rows) error {
		if err := rows.Scan(columns...); err != nil {
			return err
		}
		for i, key := range keys {
			if key.openID == openID {
				found[i] = row
			}
		}
		return nil
	})
	return found, err
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
	LastSeenAt       *time.Time
	NickNameAsOf     *time.Time `gorm:"column:nickname_as_of"`
	AvatarAsOf       *time.Time
	ExternalID       *string
}

// TableName implements GORM's Tabler.
func (userRow) TableName() string { return "users" }

// columns are the scan targets of selectUser, in its order.
func (r *userRow) columns() []any {
	return []any{
		&r.ID, &r.UnionID, &r.Status, &r.MergedInto, &r.NickName, &r.AvatarURL, &r.Gender, &r.Country,
		&r.Province, &r.City, &r.Language, &r.ProfileAsOf, &r.ProfileUpdatedAt, &r.ProfileSource,
		&r.PhoneCountryCode, &r.PhoneNumber, &r.PhoneBoundAt, &r.CreatedAt, &r.UpdatedAt, &r.LastLoginAt,
		&r.LastSeenAt, &r.NickNameAsOf, &r.AvatarAsOf, &r.ExternalID,
	}
}

func (r userRow) user() User {
	return User{
		ID:               r.ID,
		UnionID:          deref(r.UnionID),
		ExternalID:       deref(r.ExternalID),
		Status:           r.Status,
		Profile:          r.profile(),
		ProfileUpdatedAt: deref(r.ProfileUpdatedAt),
		Phone:            Phone{deref(r.PhoneCountryCode), deref(r.PhoneNumber)},
		PhoneBoundAt:     deref(r.PhoneBoundAt),
		CreatedAt:        r.CreatedAt,
		UpdatedAt:        r.UpdatedAt,
		LastLoginAt:      r.LastLoginAt,
		LastSeenAt:       r.lastSeen(),
	}
}

// identityRow is a row of wechat_identities.
type identityRow struct {
	AppID     string `gorm:"column:appid;primaryKey"`
	OpenID    string `gorm:"column:openid;primaryKey"`
	UserID    uint64
	CreatedAt time.Time `gorm:"autoCreateTime:false"`
}

// TableName implements GORM's Tabler.
func (identityRow) TableName() string { return "wechat_identities" }

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
