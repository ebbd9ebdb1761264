package store

import (
	"context"
	"time"

	"gorm.io/gorm"
)

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

const (
	selectUser = "SELECT u.id, u.unionid, u.status, u.merged_into, u.nickname, u.avatar_url, u.gender, u.country, " +
		"u.province, u.city, u.language, u.profile_as_of, u.profile_updated_at, u.profile_source, u.phone_country_code, " +
		"u.phone_number, u.phone_bound_at, u.created_at, u.updated_at, u.last_login_at "
	selectByIdentity = selectUser + "FROM wechat_identities i JOIN users u ON u.id = i.user_id WHERE i.appid = ? AND i.openid = ?"
	selectByUnionID  = selectUser + "FROM users u WHERE u.unionid = ?"
	selectForUpdate  = selectUser + "FROM users u WHERE u.id = ? FOR UPDATE"
)

// one reads the user that a query finds. It returns ErrNotFound where there is none. It scans by itself: GORM's way
// through reflection takes half as many allocations again.
func one(tx *gorm.DB, query string, args ...any) (r userRow, err error) {
	rows, err := tx.Raw(query, args...).Rows()
	if err != nil {
		return userRow{}, err
	}
	defer rows.Close()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return userRow{}, err
		}
		return userRow{}, ErrNotFound
	}
	if err := rows.Scan(&r.ID, &r.UnionID, &r.Status, &r.MergedInto, &r.NickName, &r.AvatarURL, &r.Gender, &r.Country,
		&r.Province, &r.City, &r.Language, &r.ProfileAsOf, &r.ProfileUpdatedAt, &r.ProfileSource,
		&r.PhoneCountryCode, &r.PhoneNumber, &r.PhoneBoundAt, &r.CreatedAt, &r.UpdatedAt, &r.LastLoginAt); err != nil {
		return userRow{}, err
	}
	return r, rows.Close()
}

func (u *Users) byIdentity(ctx context.Context, appID, openID string) (userRow, error) {
	return one(u.db.hot.WithContext(ctx), selectByIdentity, appID, openID)
}

func (u *Users) byUnionID(ctx context.Context, unionID string) (userRow, error) {
	return one(u.db.gorm.WithContext(ctx), selectByUnionID, unionID)
}
