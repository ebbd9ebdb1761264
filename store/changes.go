package store

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"
)

// Reasons of changes, for [Cause].
const (
	ReasonUser   = "person" // the user asked for it
	ReasonAdmin  = "admin"  // an administrator or another service asked for it
	ReasonWeChat = "wechat" // WeChat told us to
)

const (
	maxReason = 255
	maxActor  = 64
	maxNote   = 255
)

// Cause says why a user was changed, for the table user_changes. Longer texts are truncated.
type Cause struct {
	Reason string // up to 255 characters: one of the reasons above, or why a user was disabled or enabled
	Actor  string // up to 64 characters: the administrator, or the name of the API key; "" = none
	Note   string // up to 255 characters: what the administrator wrote about an erase; "" = nothing
}

// changeKind is a value of user_changes.kind.
type changeKind string

const (
	changeMerged         changeKind = "merged"
	changeErased         changeKind = "erased"
	changeDisabled       changeKind = "disabled"
	changeEnabled        changeKind = "enabled"
	changePhoneRemoved   changeKind = "phone_removed"
	changeProfileRemoved changeKind = "profile_removed"
	changeExternalID     changeKind = "external_id"
)

// changeRow is a row of user_changes.
type changeRow struct {
	Seq        uint64 `gorm:"primaryKey;autoIncrement:false"`
	Kind       changeKind
	UserID     uint64
	SurvivorID *uint64
	Reason     *string
	Actor      *string
	Note       *string
	ChangedAt  time.Time
}

// TableName implements GORM's Tabler.
func (changeRow) TableName() string { return "user_changes" }

// counterRow is the row of user_change_counter.
type counterRow struct {
	ID  uint8 `gorm:"primaryKey;autoIncrement:false"`
	Seq uint64
}

// TableName implements GORM's Tabler.
func (counterRow) TableName() string { return "user_change_counter" }

func newChange(kind changeKind, userID uint64, c Cause, at time.Time) changeRow {
	return changeRow{
		Kind: kind, UserID: userID, ChangedAt: at, Reason: nonEmpty(truncate(c.Reason, maxReason)),
		Actor: nonEmpty(truncate(c.Actor, maxActor)), Note: nonEmpty(truncate(c.Note, maxNote)),
	}
}

// nonEmpty returns nil for "".
func nonEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// record adds changes to user_changes. It must be the last work of its transaction: from here to the COMMIT, other
// transactions that record a change wait. So the numbers are in the order of the commits, and a reader of all up to one
// misses nothing.
func (q queries) record(ctx context.Context, changes ...changeRow) error {
	if len(changes) == 0 {
		return nil
	}
	orm := q.gorm(ctx)
	err := mustAffect(orm.Model(&counterRow{}).Where("id = 1").UpdateColumn("seq", gorm.Expr("seq + ?", len(changes))))
	if errors.Is(err, errConflict) {
		return errors.New("the row of user_change_counter is missing: run wxlogin migrate")
	}
	if err != nil {
		return err
	}
	var counter counterRow
	if err := orm.Where("id = 1").Take(&counter).Error; err != nil {
		return err
	}
	for i := range changes {
		changes[i].Seq = counter.Seq - uint64(len(changes)-1-i)
	}
	return orm.Create(&changes).Error
}

// SetStatus disables or enables a user and records why; status is StatusActive or StatusDisabled. It returns the user
// after that, and whether the status was another one before. The status of a merged or erased user stays as it is: the
// returned user shows it.
//
// Errors: ErrNotFound, ErrUnavailable, context.Canceled; any other error is a defect of the installation.
func (u *Users) SetStatus(ctx context.Context, id uint64, status Status, c Cause) (user User, changed bool, err error) {
	kind := changeEnabled
	if status != StatusActive {
		status, kind = StatusDisabled, changeDisabled
	}
	var row userRow
	err = u.inTransaction(ctx, "set status", func(tx queries) error {
		if row, err = tx.lockUser(ctx, id); err != nil {
			return err
		}
		changed = row.Status != status && row.Status != StatusMerged && row.Status != StatusErased
		if !changed {
			return nil
		}
		row.Status, row.UpdatedAt = status, u.db.now()
		err := tx.gorm(ctx).Model(&userRow{}).Where("id = ?", id).
			UpdateColumns(map[string]any{"status": status, "updated_at": row.UpdatedAt}).Error
		if err != nil {
			return err
		}
		return tx.record(ctx, newChange(kind, id, c, row.UpdatedAt))
	})
	return row.user(), changed, err
}

// inTransaction runs work in a transaction until it does not meet a conflict, and wraps its error.
func (u *Users) inTransaction(ctx context.Context, op string, work func(tx queries) error) error {
	err := retry(ctx, func() error { return u.db.transaction(ctx, work) })
	return u.db.wrapError(ctx, op, err)
}
