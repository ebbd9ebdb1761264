package store

import (
	"context"
	"time"
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
