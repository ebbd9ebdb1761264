package store

import (
	"context"
	"time"
)

// Removal says what is to be removed of a user.
type Removal struct {
	NickName, Avatar, Phone bool

	// AsOf is when that was asked for, as a whole second; zero means now. What the user gave after that second stays. Of a
	// profile, older data of WeChat is ignored from then on.
	AsOf time.Time
}

// Remove removes a part of the user with this identity, and of the users that were merged into it. user_changes gets a row
// if there was a profile to remove, and one if there was a phone number. The picture of a removed avatar is listed for
// [Users.PendingDeletions]. Remove returns the user after that.
//
// A disabled user's data is removed too, unless the user asks for it (ReasonUser): then the user is returned unchanged.
//
// Errors: ErrNotFound, ErrIdentity, ErrUnavailable, context.Canceled; any other error is a defect of the installation.
func (u *Users) Remove(ctx context.Context, appID, openID string, r Removal, c Cause) (User, error) {
	if err := (Identity{AppID: appID, OpenID: openID}).validate(); err != nil {
		return User{}, err
	}
	var row userRow
	err := u.onOwnerOf(ctx, "remove", appID, openID, func(tx queries, owner userRow, _ identityRow) error {
		row = owner
		if row.Status == StatusErased || c.Reason == ReasonUser && row.Status != StatusActive {
			return nil
		}
		return u.removeLocked(ctx, tx, &row, r, c)
	})
	if err == nil && c.Reason == ReasonUser {
		u.seen(ctx, appID, row)
	}
	return row.user(), err
}

// removeLocked removes a part of a user while its row is locked.
func (u *Users) removeLocked(ctx context.Context, tx queries, row *userRow, r Removal, c Cause) error {
	merged, err := mergedInto(ctx, row.ID, tx.lock)
	if err != nil {
		return err
	}
	now := u.db.now()
	if r.AsOf.IsZero() || r.AsOf.After(now) {
		r.AsOf = now
	}
	var avatars []string
	var changes []changeRow
	for i, each := range append([]*userRow{row}, pointers(merged)...) {
		removed := r.from(*each, now)
		if removed.Avatar {
			avatars = append(avatars, each.AvatarURL)
		}
		if i == 0 {
			changes = removed.changes(row.ID, c, now)
		}
		columns := each.remove(removed, now)
		if len(columns) == 0 {
			continue
		}
		if err := tx.gorm(ctx).Model(&userRow{}).Where("id = ?", each.ID).UpdateColumns(columns).Error; err != nil {
			return err
		}
	}
	if err := tx.listDeletions(ctx, row.ID, nil, avatars, now); err != nil {
		return err
	}
	return tx.record(ctx, changes...)
}

func pointers[T any](values []T) []*T {
	all := make([]*T, len(values))
	for i := range values {
		all[i] = &values[i]
	}
	return all
}

// from returns the part of a removal that a row has, and that is not newer than the removal. AsOf is zero unless the row's
// profile_as_of is older.
func (r Removal) from(row userRow, now time.Time) Removal {
	newest := r.AsOf.Truncate(time.Second).Add(time.Second) // it is known to the second
	given := func(at *time.Time) bool { return notInFuture(deref(at), now).Before(newest) }
	removed := Removal{
		NickName: r.NickName && row.NickName != "" && given(row.nickNameAsOf()),
		Avatar:   r.Avatar && row.AvatarURL != "" && given(row.avatarAsOf()),
		Phone:    r.Phone && row.PhoneNumber != nil && given(row.PhoneBoundAt),
	}
	if (r.NickName || r.Avatar) && deref(row.ProfileAsOf).Before(r.AsOf) {
		removed.AsOf = r.AsOf
	}
	return removed
}

// changes returns the rows of user_changes for what was removed.
func (r Removal) changes(userID uint64, c Cause, now time.Time) (changes []changeRow) {
	if r.NickName || r.Avatar {
		switch {
		case !r.Avatar:
			c.Note = "nickname"
		case !r.NickName:
			c.Note = "avatar"
		default:
			c.Note = "nickname, avatar"
		}
		changes = append(changes, newChange(changeProfileRemoved, userID, c, now))
	}
	if r.Phone {
		c.Note = ""
		changes = append(changes, newChange(changePhoneRemoved, userID, c, now))
	}
	return changes
}

// remove removes a part of the row, and returns the columns to write; none if nothing changes. Even if there was no
// profile to remove, profile_updated_at changes together with profile_as_of: an update that has read the row before must
// conflict.
func (r *userRow) remove(removed Removal, now time.Time) map[string]any {
	if removed == (Removal{}) {
		return nil
	}
	columns := map[string]any{"updated_at": now}
	r.UpdatedAt = now
	if removed.NickName {
		r.NickName, r.NickNameAsOf = "", nil
		columns["nickname"], columns["nickname_as_of"] = "", nil
	}
	if removed.Avatar {
		r.AvatarURL, r.AvatarAsOf = "", nil
		columns["avatar_url"], columns["avatar_as_of"] = "", nil
	}
	if r.NickName == "" && r.AvatarURL == "" && r.ProfileSource != SourceNone {
		r.ProfileSource = SourceNone
		columns["profile_source"] = SourceNone
	}
	if !removed.AsOf.IsZero() {
		r.ProfileAsOf = &removed.AsOf
		columns["profile_as_of"] = removed.AsOf
	}
	if removed.NickName || removed.Avatar || !removed.AsOf.IsZero() {
		changed := r.changedAt(now)
		r.ProfileUpdatedAt = &changed
		columns["profile_updated_at"] = changed
	}
	if removed.Phone {
		r.PhoneCountryCode, r.PhoneNumber, r.PhoneBoundAt = nil, nil, nil
		columns["phone_country_code"], columns["phone_number"], columns["phone_bound_at"] = nil, nil, nil
	}
	return columns
}
