package store

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"
)

// lacking says which parts of an ImportedUser a user lacks.
type lacking struct{ nickName, avatar, phone, externalID bool }

func (l lacking) none() bool { return l == lacking{} }

// without leaves out what was removed.
func (l lacking) without(removed lacking) lacking {
	return lacking{
		l.nickName && !removed.nickName, l.avatar && !removed.avatar, l.phone && !removed.phone, l.externalID && !removed.externalID,
	}
}

// lacks returns what the row lacks. If there is neither a nickname nor an avatar, but a profile_as_of, they were withdrawn.
func (r userRow) lacks(p ImportedUser) lacking {
	withdrawn := r.NickName == "" && r.AvatarURL == "" && r.ProfileAsOf != nil
	return lacking{
		nickName:   p.NickName != "" && r.NickName == "" && !withdrawn,
		avatar:     p.AvatarURL != "" && r.AvatarURL == "" && !withdrawn,
		phone:      p.Phone != (Phone{}) && r.PhoneNumber == nil,
		externalID: p.ExternalID != "" && r.ExternalID == nil,
	}
}

// fill takes over a part of an ImportedUser, and returns the columns to write.
//
// The nickname and the avatar count as given by the person. profile_as_of stays as it is, so that everything that comes
// from now on is newer. The phone number was bound at created_at, which is the earliest that it can be: who removes a
// number that was bound before a certain time means this one too.
func (r *userRow) fill(p ImportedUser, l lacking, now time.Time) map[string]any {
	columns := map[string]any{"updated_at": now}
	if l.nickName {
		r.NickName = p.NickName
		columns["nickname"] = r.NickName
	}
	if l.avatar {
		r.AvatarURL = p.AvatarURL
		columns["avatar_url"] = r.AvatarURL
	}
	if l.nickName || l.avatar {
		changed := r.changedAt(now)
		r.ProfileSource, r.ProfileUpdatedAt = SourceUser, &changed
		columns["profile_source"], columns["profile_updated_at"] = r.ProfileSource, r.ProfileUpdatedAt
	}
	if l.phone {
		r.PhoneCountryCode, r.PhoneNumber, r.PhoneBoundAt = &p.Phone.CountryCode, &p.Phone.Number, &r.CreatedAt
		columns["phone_country_code"], columns["phone_number"] = r.PhoneCountryCode, r.PhoneNumber
		columns["phone_bound_at"] = r.PhoneBoundAt
	}
	if l.externalID {
		r.ExternalID = &p.ExternalID
		columns["external_id"] = r.ExternalID
	}
	r.UpdatedAt = now
	return columns
}

// fillLocked fills users by their ids, after it has locked their rows in the order of ids. It returns which of them it has
// changed, and the rows for user_changes. If one is no longer there, it returns errConflict.
func (u *Users) fillLocked(
	ctx context.Context, tx queries, targets map[uint64]ImportedUser,
) (filled map[uint64]bool, changes []changeRow, err error) {
	if len(targets) == 0 {
		return nil, nil, nil
	}
	ids := slices.Collect(maps.Keys(targets))
	rows, err := tx.lockUsers(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	removed, err := tx.removedParts(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	filled = make(map[uint64]bool, len(ids))
	now := u.db.now()
	for _, row := range rows {
		if !row.importable() {
			return nil, nil, errConflict // merged or erased since
		}
		l := row.lacks(targets[row.ID]).without(removed[row.ID])
		if l.none() {
			continue
		}
		columns := row.fill(targets[row.ID], l, now)
		if err := tx.gorm(ctx).Model(&userRow{}).Where("id = ?", row.ID).UpdateColumns(columns).Error; err != nil {
			return nil, nil, err
		}
		filled[row.ID] = true
		if l.externalID {
			changes = append(changes, newChange(changeExternalID, row.ID, importCause, now))
		}
	}
	return filled, changes, nil
}

// lockUsers reads users and locks their rows, in the order of ids. If one is not there, it returns errConflict.
func (q queries) lockUsers(ctx context.Context, ids []uint64) (rows []userRow, err error) {
	err = q.lock(ctx).Where("id IN ?", ids).Order("id").Limit(len(ids)).Find(&rows).Error
	if err == nil && len(rows) < len(ids) {
		err = errConflict
	}
	return rows, err
}

// removedParts returns what users once had, and was removed: that is newer than any import.
func (q queries) removedParts(ctx context.Context, ids []uint64) (map[uint64]lacking, error) {
	var rows []changeRow
	kinds := []changeKind{changePhoneRemoved, changeProfileRemoved, changeExternalID}
	if err := q.gorm(ctx).Where("user_id IN ? AND kind IN ?", ids, kinds).Find(&rows).Error; err != nil {
		return nil, err
	}
	removed := map[uint64]lacking{}
	for _, row := range rows {
		l, note := removed[row.UserID], deref(row.Note)
		l.phone = l.phone || row.Kind == changePhoneRemoved
		l.externalID = l.externalID || row.Kind == changeExternalID
		l.nickName = l.nickName || row.Kind == changeProfileRemoved && strings.Contains(note, "nickname")
		l.avatar = l.avatar || row.Kind == changeProfileRemoved && strings.Contains(note, "avatar")
		removed[row.UserID] = l
	}
	return removed, nil
}

// createImported inserts users with their identities.
func (u *Users) createImported(ctx context.Context, tx queries, appID string, people []ImportedUser) error {
	if len(people) == 0 {
		return nil
	}
	rows, err := u.insertImported(ctx, tx, people)
	if err != nil {
		return err
	}
	identities := make([]identityRow, len(people))
	for i, p := range people {
		identities[i] = identityRow{AppID: appID, OpenID: p.OpenID, UserID: rows[i].ID, CreatedAt: rows[i].CreatedAt}
	}
	return tx.gorm(ctx).Create(&identities).Error
}

// insertImported inserts users without their identities, in one statement.
//
// The server returns the first id only. It gives the others out in the order of the rows, but not every server without
// gaps. So they are read again: rows that are not as they were inserted are an errConflict, and each user is inserted alone.
func (u *Users) insertImported(ctx context.Context, tx queries, people []ImportedUser) ([]userRow, error) {
	now := u.db.now()
	rows := make([]userRow, len(people))
	for i, p := range people {
		rows[i] = userRow{Status: StatusActive, UnionID: nonEmpty(p.UnionID), CreatedAt: p.CreatedAt}
		if p.CreatedAt.IsZero() {
			rows[i].CreatedAt = now
		}
		seenAt := importedSeenAt(rows[i].CreatedAt)
		rows[i].LastLoginAt, rows[i].LastSeenAt = rows[i].CreatedAt, &seenAt
		rows[i].fill(p, rows[i].lacks(p), now)
	}
	if err := tx.gorm(ctx).Create(&rows).Error; err != nil {
		return nil, err
	}
	var stored []userRow
	err := tx.gorm(ctx).Select("id", "unionid", "external_id", "nickname", "phone_number", "created_at").
		Where("id >= ?", rows[0].ID).Order("id").Limit(len(rows)).Find(&stored).Error
	if err != nil {
		return nil, err
	}
	if len(stored) < len(rows) {
		return nil, errConflict
	}
	for i := range rows {
		rows[i].ID = stored[i].ID
		if !rows[i].readAs(stored[i]) {
			return nil, errConflict
		}
	}
	return rows, nil
}

// readAs reports whether a row that was inserted is read again in the columns that distinguish imported users.
func (r userRow) readAs(stored userRow) bool {
	return deref(r.UnionID) == deref(stored.UnionID) && deref(r.ExternalID) == deref(stored.ExternalID) && r.NickName == stored.NickName &&
		deref(r.PhoneNumber) == deref(stored.PhoneNumber) && r.CreatedAt.Equal(stored.CreatedAt)
}
