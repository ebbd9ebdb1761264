package store

import (
	"context"
	"errors"
	"slices"
)

// FoundUser is a user for another service.
type FoundUser struct {
	User
	Identities []KnownIdentity // the oldest first
	MergedFrom []uint64        // of the ids that were asked for: those of users that were merged into this one
}

// Lookup returns the users with these ids, each once, in the order of ids. The id of a merged user stands for its survivor.
// Ids that no user has are left out. Like [Users.FindOnReplica] it reads from a replica if it can. It does not count as a
// request of the users.
//
// Errors: ErrUnavailable, context.Canceled; any other error is a defect of the installation.
func (u *Users) Lookup(ctx context.Context, ids []uint64) ([]FoundUser, error) {
	return u.lookup(ctx, func(q queries) ([]uint64, error) { return ids, nil })
}

// LookupCurrent returns the user with this id, or its survivor, as it is now: it reads from the primary.
//
// Errors: as Lookup, and ErrNotFound.
func (u *Users) LookupCurrent(ctx context.Context, id uint64) (FoundUser, error) {
	found, _, err := u.db.queries.foundUsers(ctx, []uint64{id})
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return FoundUser{}, u.db.wrapError(ctx, "lookup", err)
	}
	return found[0], nil
}

// LookupPhone returns the users with a phone number: its digits with the country code, such as 8613800138000. One number may
// be that of several people.
//
// Errors: as Lookup.
func (u *Users) LookupPhone(ctx context.Context, phone string) ([]FoundUser, error) {
	if !isPrintable(phone, maxPhone) {
		return nil, nil
	}
	return u.lookup(ctx, func(q queries) (ids []uint64, err error) {
		numbers := q.gorm(ctx).Where("1 = 0")
		for i := 1; i <= maxCountryCode && i < len(phone); i++ {
			numbers = numbers.Or("phone_number = ? AND phone_country_code = ?", phone[i:], phone[:i])
		}
		err = q.gorm(ctx).Model(&userRow{}).Where(numbers).Where("status <> ?", StatusMerged).
			Order("id").Limit(maxLookup).Pluck("id", &ids).Error
		return ids, err
	})
}

// maxLookup bounds the users with one phone number.
const maxLookup = 1000

// LookupExternalID returns the user with an external id, or the survivor if that user was merged.
//
// Errors: as Lookup, and ErrNotFound.
func (u *Users) LookupExternalID(ctx context.Context, id string) (FoundUser, error) {
	if !ValidExternalID(id) {
		return FoundUser{}, ErrNotFound
	}
	found, err := u.lookup(ctx, func(q queries) (ids []uint64, err error) {
		return ids, q.gorm(ctx).Model(&userRow{}).Where("external_id = ?", id).Limit(1).Pluck("id", &ids).Error
	})
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return FoundUser{}, err
	}
	return found[0], nil
}

// lookup returns the users whose ids the function finds, from a replica that has all of them, or else from the primary.
func (u *Users) lookup(ctx context.Context, idsOf func(queries) ([]uint64, error)) (found []FoundUser, err error) {
	read := func(ctx context.Context, q queries) error {
		ids, err := idsOf(q)
		if err != nil {
			return err
		}
		var missing bool
		found, missing, err = q.foundUsers(ctx, ids)
		if err == nil && (missing || len(found) == 0) {
			err = ErrNotFound
		}
		return err
	}
	if u.db.replicas.ready() {
		if u.db.replicas.read(ctx, func(ctx context.Context, r replica) error { return read(ctx, r.queries) }) == nil {
			return found, nil
		}
	}
	err = retry(ctx, func() error { return read(ctx, u.db.queries) })
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return found, u.db.wrapError(ctx, "lookup", err)
}

// foundUsers returns the users with these ids, or their survivors, and reports whether one is missing.
func (q queries) foundUsers(ctx context.Context, ids []uint64) (found []FoundUser, missing bool, err error) {
	var rows []userRow
	if err := q.gorm(ctx).Where("id IN ?", ids).Find(&rows).Error; err != nil {
		return nil, false, err
	}
	position := map[uint64]int{} // of a survivor in found, by its id
	for _, id := range ids {
		i := slices.IndexFunc(rows, func(r userRow) bool { return r.ID == id })
		if i < 0 {
			missing = true
			continue
		}
		survivor, err := q.survivorOf(ctx, rows[i])
		if errors.Is(err, ErrNotFound) { // deleted by hand
			missing = true
			continue
		}
		if err != nil {
			return nil, false, err
		}
		at, known := position[survivor.ID]
		if !known {
			at, position[survivor.ID] = len(found), len(found)
			found = append(found, FoundUser{User: survivor.user()})
		}
		if id != survivor.ID && !slices.Contains(found[at].MergedFrom, id) {
			found[at].MergedFrom = append(found[at].MergedFrom, id)
		}
	}
	return found, missing, q.addIdentities(ctx, found)
}

// survivorOf follows the merges of a user without a lock.
func (q queries) survivorOf(ctx context.Context, row userRow) (userRow, error) {
	for range maxMergeChain {
		if row.Status != StatusMerged || row.MergedInto == nil {
			return row, nil
		}
		var err error
		if row, err = q.userByID(ctx, *row.MergedInto); err != nil {
			return userRow{}, err
		}
	}
	return userRow{}, errMergeCircle
}

func (q queries) addIdentities(ctx context.Context, found []FoundUser) error {
	if len(found) == 0 {
		return nil
	}
	ids := make([]uint64, len(found))
	for i, user := range found {
		ids[i] = user.ID
	}
	var rows []identityRow
	if err := q.gorm(ctx).Where("user_id IN ?", ids).Order("created_at, appid, openid").Find(&rows).Error; err != nil {
		return err
	}
	for _, row := range rows {
		i := slices.Index(ids, row.UserID)
		found[i].Identities = append(found[i].Identities, KnownIdentity{row.AppID, row.OpenID, row.CreatedAt})
	}
	return nil
}

// Changes returns up to limit changes after the one with the number after, in the order of the commits.
//
// Errors: ErrUnavailable, context.Canceled; any other error is a defect of the installation.
func (u *Users) Changes(ctx context.Context, after uint64, limit int) ([]Change, error) {
	var rows []changeRow
	if err := u.db.queries.gorm(ctx).Where("seq > ?", after).Order("seq").Limit(limit).Find(&rows).Error; err != nil {
		return nil, u.db.wrapError(ctx, "changes", err)
	}
	changes := make([]Change, len(rows))
	for i, row := range rows {
		changes[i] = row.change()
	}
	return changes, nil
}
