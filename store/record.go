package store

import (
	"context"
	"strings"
	"time"

	"gorm.io/gorm"
)

// Record is everything in the database about a user.
type Record struct {
	User
	MergedInto uint64          // users.id of the survivor, if the status is StatusMerged
	Identities []KnownIdentity // the oldest first
	Merged     []User          // the users that were merged into this one, directly or by way of others
	Merges     []Merge         // of this user and those, the oldest first
	Changes    []Change        // the oldest first, those of merged users too
}

// KnownIdentity is an identity on record.
type KnownIdentity struct {
	AppID     string
	OpenID    string
	CreatedAt time.Time // first login
}

// Merge is a row of user_merges.
type Merge struct {
	MergedID   uint64
	SurvivorID uint64
	UnionID    string // which showed that they are one person; "" = not on record
	AppID      string // of the login that brought the unionid; "" = not on record
	At         time.Time
}

// Change is a row of user_changes.
type Change struct {
	Seq        uint64
	Kind       string // as in schema.sql
	UserID     uint64
	SurvivorID uint64 // of Kind "merged"; else 0
	Cause
	At time.Time
}

// Record returns everything about a user, of whatever status, by its id. It does not count as a request of the user.
//
// Errors: ErrNotFound, ErrUnavailable, context.Canceled; any other error is a defect of the installation.
func (u *Users) Record(ctx context.Context, id uint64) (Record, error) {
	var r Record
	var row userRow
	err := u.inTransaction(ctx, "record", func(tx queries) (err error) {
		if row, err = tx.userByID(ctx, id); err != nil {
			return err
		}
		r, err = tx.recordOf(ctx, row)
		return err
	})
	return r, err
}

func (q queries) userByID(ctx context.Context, id uint64) (row userRow, err error) {
	result := q.gorm(ctx).Where("id = ?", id).Limit(1).Find(&row)
	if result.Error == nil && result.RowsAffected == 0 {
		return row, ErrNotFound
	}
	return row, result.Error
}

func (q queries) recordOf(ctx context.Context, row userRow) (Record, error) {
	r := Record{User: row.user(), MergedInto: deref(row.MergedInto)}
	merged, err := mergedInto(ctx, row.ID, q.gorm)
	if err != nil {
		return Record{}, err
	}
	ids := []uint64{row.ID}
	for _, m := range merged {
		r.Merged, ids = append(r.Merged, m.user()), append(ids, m.ID)
	}
	var identities []identityRow
	if err := q.gorm(ctx).Where("user_id = ?", row.ID).Order("created_at, appid, openid").Find(&identities).Error; err != nil {
		return Record{}, err
	}
	for _, i := range identities {
		r.Identities = append(r.Identities, KnownIdentity{i.AppID, i.OpenID, i.CreatedAt})
	}
	var merges []mergeRow
	if err := q.gorm(ctx).Where("survivor_id IN ? OR merged_id IN ?", ids, ids).Order("id").Find(&merges).Error; err != nil {
		return Record{}, err
	}
	for _, m := range merges {
		r.Merges = append(r.Merges, Merge{m.MergedID, m.SurvivorID, deref(m.UnionID), deref(m.AppID), m.MergedAt})
	}
	var changes []changeRow
	if err := q.gorm(ctx).Where("user_id IN ?", ids).Order("seq").Find(&changes).Error; err != nil {
		return Record{}, err
	}
	for _, c := range changes {
		r.Changes = append(r.Changes, c.change())
	}
	return r, nil
}

func (c changeRow) change() Change {
	return Change{
		Seq: c.Seq, Kind: string(c.Kind), UserID: c.UserID, SurvivorID: deref(c.SurvivorID),
		Cause: Cause{deref(c.Reason), deref(c.Actor), deref(c.Note)}, At: c.ChangedAt,
	}
}

// Identity returns an identity on record. It does not count as a request of the user.
//
// Errors: ErrNotFound, ErrIdentity, ErrUnavailable, context.Canceled; any other error is a defect of the installation.
func (u *Users) Identity(ctx context.Context, appID, openID string) (KnownIdentity, error) {
	if err := (Identity{AppID: appID, OpenID: openID}).validate(); err != nil {
		return KnownIdentity{}, err
	}
	row, err := u.db.queries.identity(ctx, appID, openID)
	return KnownIdentity{row.AppID, row.OpenID, row.CreatedAt}, u.db.wrapError(ctx, "identity", err)
}

// CountIdentities returns how many identities each of these users has. Users without one are not in the map.
//
// Errors: ErrUnavailable, context.Canceled; any other error is a defect of the installation.
func (u *Users) CountIdentities(ctx context.Context, ids []uint64) (map[uint64]int, error) {
	var rows []struct {
		UserID uint64
		Number int
	}
	err := u.db.queries.gorm(ctx).Model(&identityRow{}).Select("user_id, COUNT(*) AS number").
		Where("user_id IN ?", ids).Group("user_id").Find(&rows).Error
	counts := make(map[uint64]int, len(rows))
	for _, row := range rows {
		counts[row.UserID] = row.Number
	}
	return counts, u.db.wrapError(ctx, "count identities", err)
}

// Query says which users [Users.Search] finds. One field is set.
type Query struct {
	OpenID   string // in any mini-program
	UnionID  string
	NickName string // the beginning of a nickname; case is ignored
	Phone    string // digits: a national number, or one with its country code

	ExternalID string
}

// Search returns up to limit users, of whatever status, in the order of their ids. It does not count as a request of the
// users.
//
// Errors: ErrUnavailable, context.Canceled; any other error is a defect of the installation.
func (u *Users) Search(ctx context.Context, q Query, limit int) ([]User, error) {
	if !isPrintable(q.OpenID, maxOpenID) || !isPrintable(q.UnionID, maxUnionID) || !isPrintable(q.Phone, maxPhone) ||
		!isPrintable(q.ExternalID, MaxExternalID) {
		return nil, nil // the columns are ASCII: MySQL refuses to compare them with other text
	}
	var rows []userRow
	query := u.db.queries.gorm(ctx).Order("id").Limit(limit)
	if err := q.apply(query).Find(&rows).Error; err != nil {
		return nil, u.db.wrapError(ctx, "search", err)
	}
	users := make([]User, len(rows))
	for i, row := range rows {
		users[i] = row.user()
	}
	return users, nil
}

const (
	maxPhonePrefix = 4  // digits of the longest country code, which some islands have
	maxPhone       = 40 // digits of both columns
)

func (q Query) apply(users *gorm.DB) *gorm.DB {
	switch {
	case q.OpenID != "":
		return users.Where("id IN (SELECT user_id FROM wechat_identities WHERE openid = ?)", q.OpenID)
	case q.UnionID != "":
		return users.Where("unionid = ?", q.UnionID)
	case q.ExternalID != "":
		return users.Where("external_id = ?", q.ExternalID)
	case q.NickName != "":
		return users.Where("nickname LIKE ? ESCAPE '|'", escapeLike(q.NickName)+"%")
	}
	found := users.Where("phone_number = ?", q.Phone)
	for i := 1; i <= maxPhonePrefix && i < len(q.Phone); i++ {
		found = found.Or("phone_number = ? AND phone_country_code = ?", q.Phone[i:], q.Phone[:i])
	}
	return found
}

// escapeLike escapes a text for LIKE … ESCAPE '|'. Not every server takes a backslash in a pattern as an escape.
func escapeLike(text string) string {
	return strings.NewReplacer("|", "||", "%", "|%", "_", "|_").Replace(text)
}
