package store

import (
	"context"
	"time"
)

// Profile is what a user tells of himself. In an update, empty texts and a Gender other than 1 and 2 mean "not given".
type Profile struct {
	NickName  string // up to 255 characters, longer ones are cut; no placeholder, see User.ProfileComplete
	AvatarURL string // up to 1024 characters; a longer one counts as not given, for half an address is none
	Gender    int    // 0 unknown, 1 male, 2 female
	Country   string // up to 128 characters, as Province and City
	Province  string
	City      string
	Language  string // up to 32 characters, such as zh_CN

	// AsOf is when WeChat made this data: the watermark's timestamp. A time to come counts as now. Zero means that the
	// person has just given it: it is newer than all that is stored.
	AsOf time.Time

	// Source is who gave the nickname and the avatar, where there are any. In an update, the zero value means WeChat.
	Source ProfileSource
}

// UpdateProfile takes new data into the profile of the user with this identity, and returns the user as it then
// stands. replaced is the AvatarURL that this call replaced by another one, "" if it replaced none:
//
//   - what is not given never overwrites what is there;
//   - the language zh_CN without gender and place, which WeChat has sent for everybody since October 2021, only fills
//     an empty language, and only beside a nickname or an avatar: alone it is WeChat's placeholder;
//   - data older than the newest that changed the profile is ignored as a whole; data without an AsOf never is;
//   - if nothing is given, nothing is written;
//   - if nothing changes, nothing is written: not even AsOf, unless that of the row lies in the future;
//   - a user who is not active is returned unchanged.
//
// Of concurrent updates the newest data wins, in whatever order they arrive; of those without an AsOf, the last to commit.
//
// Errors: ErrNotFound, ErrIdentity, ErrUnavailable, context.Canceled; anything else is a fault of the installation.
func (u *Users) UpdateProfile(ctx context.Context, appID, openID string, p Profile) (user User, replaced string, err error) {
	if err := (Identity{AppID: appID, OpenID: openID}).validate(); err != nil {
		return User{}, "", err
	}
	p = p.fit()
	row, err := u.changeUser(ctx, identity{appID, openID}, func(ctx context.Context, w *profileWrites, row userRow) (userRow, error) {
		return u.updateProfile(ctx, w, row, p, &replaced)
	})
	if err != nil {
		return User{}, "", u.db.fault(ctx, "update profile", err)
	}
	if row.AvatarURL != p.AvatarURL {
		replaced = "" // another update has replaced it first, or the user was blocked
	}
	return row.user(), replaced, nil
}

// updateProfile compares and writes: the statement that writes holds only while the profile is as it was read and the user
// has not been merged away or disabled.
//
// replaced becomes the avatar that this attempt is to replace. If the row has the new avatar already, it stays what an earlier
// attempt was to replace, which may have written although it returned errAgain (see profileWrites.write).
func (u *Users) updateProfile(ctx context.Context, w *profileWrites, row userRow, p Profile, replaced *string) (userRow, error) {
	if p.empty() {
		return row, nil
	}
	now := u.db.now()
	old := row.profile()
	next := old.updatedBy(p)
	changes, asOf := old.changes(next), p.asOf(old.AsOf, now)
	if changes.none() || asOf.Before(notInFuture(old.AsOf, now)) {
		return healAsOf(ctx, w.direct, row, now)
	}
	newAvatar := next.AvatarURL != old.AvatarURL
	if newAvatar {
		*replaced = old.AvatarURL
	}
	write := profileWrite{id: row.ID, changes: changes, asOf: asOf, at: row.changedAt(now), before: row.ProfileUpdatedAt}
	write.picture = newAvatar && p.Source == SourceUser
	if err := w.write(ctx, write); err != nil {
		return userRow{}, err
	}
	row.setProfile(next, write.at)
	row.ProfileAsOf = &asOf
	return row, nil
}
