package store

import (
	"context"
	"time"
)

// Deletion is something of a user outside this database that is still to be deleted: the sessions of an identity, or a
// picture.
type Deletion struct {
	ID            uint64
	UserID        uint64
	AppID, OpenID string // of the sessions; "" = it is a picture
	AvatarURL     string // "" = it is sessions
}

// deletionRow is a row of pending_deletions.
type deletionRow struct {
	ID        uint64 `gorm:"primaryKey;autoIncrement"`
	UserID    uint64
	AppID     *string `gorm:"column:appid"`
	OpenID    *string `gorm:"column:openid"`
	AvatarURL *string
	CreatedAt time.Time `gorm:"autoCreateTime:false"`
}

// TableName implements GORM's Tabler.
func (deletionRow) TableName() string { return "pending_deletions" }

// listDeletions adds to pending_deletions, sessions first.
func (q queries) listDeletions(
	ctx context.Context, userID uint64, identities []identityRow, avatars []string, now time.Time,
) error {
	var rows []deletionRow
	for _, i := range identities {
		rows = append(rows, deletionRow{UserID: userID, AppID: &i.AppID, OpenID: &i.OpenID, CreatedAt: now})
	}
	for _, avatar := range avatars {
		rows = append(rows, deletionRow{UserID: userID, AvatarURL: &avatar, CreatedAt: now})
	}
	if len(rows) == 0 {
		return nil
	}
	return q.gorm(ctx).Create(&rows).Error
}

// PendingDeletions returns up to limit deletions after the one with the number after, in the order of their numbers: those
// of a user or, if userID is 0, all.
//
// Errors: ErrUnavailable, context.Canceled; any other error is a defect of the installation.
func (u *Users) PendingDeletions(ctx context.Context, userID, after uint64, limit int) ([]Deletion, error) {
	var rows []deletionRow
	query := u.db.queries.gorm(ctx).Where("id > ?", after).Order("id").Limit(limit)
	if userID != 0 {
		query = query.Where("user_id = ?", userID)
	}
	if err := query.Find(&rows).Error; err != nil {
		return nil, u.db.wrapError(ctx, "pending deletions", err)
	}
	deletions := make([]Deletion, len(rows))
	for i, r := range rows {
		deletions[i] = Deletion{r.ID, r.UserID, deref(r.AppID), deref(r.OpenID), deref(r.AvatarURL)}
	}
	return deletions, nil
}

// DeletionDone removes a deletion from the list. It may be repeated.
//
// Errors: ErrUnavailable, context.Canceled; any other error is a defect of the installation.
func (u *Users) DeletionDone(ctx context.Context, id uint64) error {
	return u.db.wrapError(ctx, "deletion done", u.db.queries.gorm(ctx).Delete(&deletionRow{}, id).Error)
}
