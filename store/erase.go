package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"gorm.io/gorm"
)

// maxMergeChain bounds how many merges are followed from a user to its survivor: a manual edit may have made a circle.
const maxMergeChain = 100

var errMergeCircle = errors.New("users.merged_into makes a circle")

// Erase erases a user: what is left of its row is the id, the status StatusErased and the times of sign-up and erase. The
// identities, the users that were merged into it, and the unionid in user_merges go in the same transaction, which also
// records the erase in user_changes. The next login of the person creates a new user.
//
// The sessions and pictures of the user are not in this database. The transaction lists them, for
// [Users.PendingDeletions].
//
// The id of a merged user stands for its survivor. An erase may be repeated. Erase returns the user after it.
//
// Errors: ErrNotFound, ErrUnavailable, context.Canceled; any other error is a defect of the installation.
func (u *Users) Erase(ctx context.Context, id uint64, c Cause) (User, error) {
	var row userRow
	err := u.inTransaction(ctx, "erase", func(tx queries) (err error) {
		if row, err = tx.lockSurvivor(ctx, id); err == nil {
			row, err = u.eraseLocked(ctx, tx, row, c)
		}
		return err
	})
	return row.user(), err
}

// EraseIdentity erases the user with this identity: see [Users.Erase]. If before is not zero and the identity is newer,
// it was made by a login after what asks for the erase, and nothing is erased. If the user asks for it (ReasonUser), a
// user that is not active is returned unchanged.
//
// Errors: as Erase, and ErrIdentity.
func (u *Users) EraseIdentity(ctx context.Context, appID, openID string, before time.Time, c Cause) (User, error) {
	if err := (Identity{AppID: appID, OpenID: openID}).validate(); err != nil {
		return User{}, err
	}
	var row userRow
	err := u.onOwnerOf(ctx, "erase", appID, openID, func(tx queries, owner userRow, identity identityRow) (err error) {
		row = owner
		if !before.IsZero() && identity.CreatedAt.After(before) || c.Reason == ReasonUser && row.Status != StatusActive {
			return nil
		}
		row, err = u.eraseLocked(ctx, tx, row, c)
		return err
	})
	return row.user(), err
}

// onOwnerOf runs work in a transaction that has locked the user with this identity.
//
// The lock is what the transaction reads first: what it reads then is at least as new. An earlier read would have fixed its
// view of the database to a moment before the wait for the lock, so that it would not see what the login or merge that it has
// waited for has committed.
func (u *Users) onOwnerOf(
	ctx context.Context, op, appID, openID string, work func(tx queries, owner userRow, identity identityRow) error,
) error {
	err := retry(ctx, func() error {
		known, err := u.db.queries.identity(ctx, appID, openID)
		if err != nil {
			return err
		}
		return u.db.transaction(ctx, func(tx queries) error {
			owner, err := tx.lockSurvivor(ctx, known.UserID)
			if err != nil {
				return err
			}
			identity, err := tx.identity(ctx, appID, openID)
			if err == nil && identity.UserID != known.UserID { // merged, or erased and signed up again
				err = errConflict
			}
			if err != nil {
				return err
			}
			return work(tx, owner, identity)
		})
	})
	return u.db.wrapError(ctx, op, err)
}

// identity returns the row of an identity, or ErrNotFound.
func (q queries) identity(ctx context.Context, appID, openID string) (row identityRow, err error) {
	result := q.gorm(ctx).Where("appid = ? AND openid = ?", appID, openID).Limit(1).Find(&row)
	if result.Error == nil && result.RowsAffected == 0 {
		return row, ErrNotFound
	}
	return row, result.Error
}

// lockSurvivor locks a user or, if that was merged into another one, the survivor.
func (q queries) lockSurvivor(ctx context.Context, id uint64) (row userRow, err error) {
	for range maxMergeChain {
		if row, err = q.lockUser(ctx, id); err != nil || row.Status != StatusMerged || row.MergedInto == nil {
			return row, err
		}
		id = *row.MergedInto
	}
	return userRow{}, errMergeCircle
}

// mergedInto returns the users that were merged into one, directly or by way of others. read is queries.gorm, or queries.lock
// if they are to be changed.
func mergedInto(ctx context.Context, id uint64, read func(context.Context) *gorm.DB) (rows []userRow, err error) {
	survivors, seen := []uint64{id}, []uint64{id}
	for len(survivors) > 0 {
		var ids []uint64
		err := read(ctx).Model(&mergeRow{}).Where("survivor_id IN ?", survivors).Pluck("merged_id", &ids).Error
		if err != nil {
			return nil, err
		}
		survivors = slices.DeleteFunc(ids, func(id uint64) bool { return slices.Contains(seen, id) })
		seen = append(seen, survivors...)
	}
	if len(seen) == 1 {
		return nil, nil
	}
	return rows, read(ctx).Where("id IN ? AND status = ?", seen[1:], StatusMerged).Order("id").Find(&rows).Error
}

// tombstone are the columns of an erased user, but for the status.
func tombstone(row userRow, now time.Time) map[string]any {
	return map[string]any{
		"unionid": nil, "external_id": nil, "nickname": "", "avatar_url": "", "gender": 0, "country": "", "province": "", "city": "", "language": "",
		"profile_as_of": nil, "nickname_as_of": nil, "avatar_as_of": nil, "profile_updated_at": nil, "profile_source": SourceNone,
		"phone_country_code": nil, "phone_number": nil, "phone_bound_at": nil,
		"last_login_at": row.CreatedAt, "last_seen_at": nil, "updated_at": now,
	}
}

// eraseLocked erases a user while its row is locked.
func (u *Users) eraseLocked(ctx context.Context, tx queries, row userRow, c Cause) (userRow, error) {
	if row.Status == StatusErased {
		return row, nil
	}
	merged, err := mergedInto(ctx, row.ID, tx.lock)
	if err != nil {
		return userRow{}, err
	}
	all, now := append([]userRow{row}, merged...), u.db.now()
	if err := tx.eraseIdentities(ctx, row.ID, all, now); err != nil {
		return userRow{}, err
	}
	for _, r := range all {
		columns := tombstone(r, now)
		if r.ID == row.ID {
			columns["status"], columns["merged_into"] = StatusErased, nil
		}
		if err := tx.gorm(ctx).Model(&userRow{}).Where("id = ?", r.ID).UpdateColumns(columns).Error; err != nil {
			return userRow{}, err
		}
	}
	erased := userRow{ID: row.ID, Status: StatusErased, CreatedAt: row.CreatedAt, UpdatedAt: now, LastLoginAt: row.CreatedAt}
	return erased, tx.record(ctx, newChange(changeErased, row.ID, c, now))
}

// eraseIdentities deletes the identities of a user and of those merged into it, and what other tables say about them. It
// lists the sessions and pictures.
func (q queries) eraseIdentities(ctx context.Context, userID uint64, all []userRow, now time.Time) error {
	orm, ids := q.gorm(ctx), make([]uint64, len(all))
	for i, row := range all {
		ids[i] = row.ID
	}
	var identities []identityRow
	if err := q.lock(ctx).Where("user_id IN ?", ids).Find(&identities).Error; err != nil {
		return err
	}
	if err := q.listDeletions(ctx, userID, identities, avatarsOf(all), now); err != nil {
		return err
	}
	for _, i := range identities {
		if err := orm.Where("appid = ? AND openid = ?", i.AppID, i.OpenID).Delete(&identityRow{}).Error; err != nil {
			return err
		}
	}
	err := orm.Model(&mergeRow{}).Where("survivor_id IN ? OR merged_id IN ?", ids, ids).UpdateColumn("unionid", nil).Error
	if err != nil {
		return err
	}
	// What an administrator wrote about a user may name the person.
	return orm.Model(&changeRow{}).Where("user_id IN ? AND kind IN ?", ids, []changeKind{changeDisabled, changeEnabled}).
		UpdateColumn("reason", nil).Error
}

// avatarsOf returns the avatars of users, each once.
func avatarsOf(rows []userRow) (avatars []string) {
	for _, row := range rows {
		if row.AvatarURL != "" && !slices.Contains(avatars, row.AvatarURL) {
			avatars = append(avatars, row.AvatarURL)
		}
	}
	return avatars
}
