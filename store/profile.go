package store

import (
	"cmp"
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/graphemes"
)

// Profile is a user's profile. In an update, an empty string and a Gender other than 1 and 2 mean "not given".
type Profile struct {
	NickName  string // up to 255 characters, longer ones are truncated; no placeholder, see User.ProfileComplete
	AvatarURL string // up to 1024 characters; a longer one counts as not given, because half a URL is useless
	Gender    int    // 0 unknown, 1 male, 2 female
	Country   string // up to 128 characters, as Province and City
	Province  string
	City      string
	Language  string // up to 32 characters, such as zh_CN

	// AsOf is when WeChat produced the data: the watermark's timestamp. A time in the future counts as now. Zero means
	// that the user has just entered the data: it is newer than everything stored.
	AsOf time.Time

	// Source says where the nickname and the avatar came from, if there are any. In an update, the zero value means
	// WeChat.
	Source ProfileSource
}

// UpdateProfile merges new data into the profile of the user with this identity, and returns the user after that.
// replaced is the AvatarURL that this call replaced by another one, "" if it replaced none.
//
//   - A field that is not given never overwrites a stored one.
//   - The language zh_CN without gender and place, which WeChat has sent for every user since October 2021, only fills
//     an empty language, and only together with a nickname or an avatar: alone it is WeChat's placeholder.
//   - Data older than the newest that changed the profile is ignored as a whole. Data without an AsOf is never ignored.
//   - If nothing is given, nothing is written.
//   - If nothing changes, nothing is written, not even AsOf, unless that of the row is in the future.
//   - A user that is not active is returned unchanged.
//
// Of concurrent updates the newest data wins, in whatever order they arrive; of those without an AsOf, the last to
// commit.
//
// Errors: ErrNotFound, ErrIdentity, ErrUnavailable, context.Canceled; any other error is a defect of the installation.
func (u *Users) UpdateProfile(ctx context.Context, appID, openID string, p Profile) (user User, replaced string, err error) {
	if err := (Identity{AppID: appID, OpenID: openID}).validate(); err != nil {
		return User{}, "", err
	}
	p = p.truncated()
	row, err := u.changeUser(ctx, identityKey{appID, openID}, func(ctx context.Context, q queries, row userRow) (userRow, error) {
		return u.updateProfile(ctx, q, row, p, &replaced)
	})
	if err != nil {
		return User{}, "", u.db.wrapError(ctx, "update profile", err)
	}
	if row.AvatarURL != p.AvatarURL {
		replaced = "" // another update has replaced it first, or the user was disabled
	}
	return row.user(), replaced, nil
}

// updateProfile is a rowChange.
//
// It sets replaced to the avatar that this attempt replaces. If the row has the new avatar already, replaced keeps its
// value from an earlier attempt, which may have written although it returned errConflict (see profileWriter.write).
func (u *Users) updateProfile(ctx context.Context, q queries, row userRow, p Profile, replaced *string) (userRow, error) {
	if p.empty() {
		return row, nil
	}
	now := u.db.now()
	old := row.profile()
	next := old.merged(p)
	changes, asOf := old.changes(next), p.asOf(old.AsOf, now)
	if changes.none() || asOf.Before(notInFuture(old.AsOf, now)) {
		return healAsOf(ctx, q, row, now)
	}
	newAvatar := next.AvatarURL != old.AvatarURL
	if newAvatar {
		*replaced = old.AvatarURL
	}
	changes.setTimes(asOf)
	write := profileWrite{id: row.ID, changes: changes, asOf: asOf, at: row.changedAt(now), readUpdatedAt: row.ProfileUpdatedAt}
	write.avatarChosen = newAvatar && p.Source == SourceUser
	if err := u.db.profiles.write(ctx, q, write); err != nil {
		return userRow{}, err
	}
	row.setProfile(next, write.at)
	row.setTimes(changes, asOf)
	return row, nil
}

// merged returns the profile after an update: given fields replace stored ones.
func (p Profile) merged(given Profile) Profile {
	next := given.withMissingFrom(p)
	if given.placeholderLanguage() && p.Language != "" {
		next.Language = p.Language
	}
	next.Source = p.Source
	if next.NickName != p.NickName || next.AvatarURL != p.AvatarURL {
		next.Source = cmp.Or(given.Source, SourceWeChat)
	}
	return next
}

// withMissingFrom returns the profile with its empty fields taken from another one.
func (p Profile) withMissingFrom(other Profile) Profile {
	p.NickName = cmp.Or(p.NickName, other.NickName)
	p.AvatarURL = cmp.Or(p.AvatarURL, other.AvatarURL)
	p.Gender = cmp.Or(p.Gender, other.Gender)
	p.Country = cmp.Or(p.Country, other.Country)
	p.Province = cmp.Or(p.Province, other.Province)
	p.City = cmp.Or(p.City, other.City)
	p.Language = cmp.Or(p.Language, other.Language)
	p.Source = cmp.Or(p.Source, other.Source)
	return p
}

// placeholderLanguage reports whether the language is the one that WeChat sends for every user since 2021-10-20, along
// with gender 0 and an empty place.
func (p Profile) placeholderLanguage() bool {
	return p.Language == "zh_CN" && p.Gender == 0 && p.Country == "" && p.Province == "" && p.City == ""
}

// empty reports whether no field is worth storing. The placeholder language alone is not: it says nothing about the
// user.
func (p Profile) empty() bool {
	if p.placeholderLanguage() {
		p.Language = ""
	}
	return p == Profile{AsOf: p.AsOf, Source: p.Source}
}

// profileColumns are the columns of a profile except those of AsOf, in the order of columnChanges.
var profileColumns = [...]string{
	"nickname", "avatar_url", "gender", "country", "province", "city", "language", "profile_source",
	"nickname_as_of", "avatar_as_of",
}

// columnChanges are the new values of profileColumns: nil for a column that does not change.
type columnChanges [len(profileColumns)]any

func (c columnChanges) none() bool { return c == columnChanges{} }

// setTimes adds when the data was made that changes the nickname or the avatar.
func (c *columnChanges) setTimes(asOf time.Time) {
	for i, at := range [...]int{8, 9} {
		if c[i] != nil {
			c[at] = asOf
		}
	}
}

// changes returns the fields of next that differ from p.
func (p Profile) changes(next Profile) (c columnChanges) {
	diff(&c[0], p.NickName, next.NickName)
	diff(&c[1], p.AvatarURL, next.AvatarURL)
	diff(&c[2], p.Gender, next.Gender)
	diff(&c[3], p.Country, next.Country)
	diff(&c[4], p.Province, next.Province)
	diff(&c[5], p.City, next.City)
	diff(&c[6], p.Language, next.Language)
	diff(&c[7], p.Source, next.Source)
	return c
}

func diff[T comparable](change *any, old, next T) {
	if old != next {
		*change = next
	}
}

func (r userRow) profile() Profile {
	return Profile{
		NickName:  r.NickName,
		AvatarURL: r.AvatarURL,
		Gender:    r.Gender,
		Country:   r.Country,
		Province:  r.Province,
		City:      r.City,
		Language:  r.Language,
		AsOf:      deref(r.ProfileAsOf),
		Source:    r.source(),
	}
}

// source returns the column, or SourceWeChat if a server of the first version has filled in the profile: it knew no
// other source and does not write the column.
func (r userRow) source() ProfileSource {
	if r.ProfileSource == SourceNone && (r.NickName != "" || r.AvatarURL != "") {
		return SourceWeChat
	}
	return r.ProfileSource
}

// setProfile copies a profile, except AsOf, into the row.
func (r *userRow) setProfile(p Profile, now time.Time) {
	r.NickName, r.AvatarURL, r.Gender = p.NickName, p.AvatarURL, p.Gender
	r.Country, r.Province, r.City, r.Language = p.Country, p.Province, p.City, p.Language
	r.ProfileSource = p.Source
	r.ProfileUpdatedAt, r.UpdatedAt = &now, now
}

// setTimes copies when the data of a change was made into the row.
func (r *userRow) setTimes(c columnChanges, asOf time.Time) {
	r.ProfileAsOf = &asOf
	if c[0] != nil {
		r.NickNameAsOf = &asOf
	}
	if c[1] != nil {
		r.AvatarAsOf = &asOf
	}
}

// nickNameAsOf returns when the data was made that the nickname is from. Servers of version 3 of the database do not
// write the column.
func (r userRow) nickNameAsOf() *time.Time { return cmp.Or(r.NickNameAsOf, r.ProfileAsOf) }

// avatarAsOf is nickNameAsOf for the avatar.
func (r userRow) avatarAsOf() *time.Time { return cmp.Or(r.AvatarAsOf, r.ProfileAsOf) }

// changedAt returns the time of a change of the profile: now, or later if the last change is not before now. So every
// write changes profile_updated_at, even within a millisecond and on a slower clock. (profile_as_of does not: two
// updates may have the same watermark.) A stored time far in the future is ignored.
func (r userRow) changedAt(now time.Time) time.Time {
	if before := r.ProfileUpdatedAt; before != nil && !before.Before(now) && !before.After(now.Add(maxClockLead)) {
		return before.Add(time.Millisecond)
	}
	return now
}

// The lengths of the columns, in characters.
const (
	maxNickName  = 255
	maxAvatarURL = 1024
	maxPlace     = 128
	maxLanguage  = 32
)

// truncated fits a profile into the columns, so that the server neither refuses it nor truncates it in its own way.
func (p Profile) truncated() Profile {
	if p.Gender != 1 && p.Gender != 2 {
		p.Gender = 0
	}
	if !utf8.ValidString(p.AvatarURL) || utf8.RuneCountInString(p.AvatarURL) > maxAvatarURL {
		p.AvatarURL = ""
	}
	p.NickName = truncate(p.NickName, maxNickName)
	p.Country = truncate(p.Country, maxPlace)
	p.Province = truncate(p.Province, maxPlace)
	p.City = truncate(p.City, maxPlace)
	p.Language = truncate(p.Language, maxLanguage)
	return p
}

// truncate shortens s to at most limit code points, which is how the column counts, and removes invalid UTF-8. It cuts
// between grapheme clusters, because half an emoji is a different emoji.
func truncate(s string, limit int) string {
	s = strings.ToValidUTF8(s, "")
	if len(s) <= limit {
		return s
	}
	for clusters := graphemes.FromString(s); clusters.Next(); {
		if limit -= utf8.RuneCountInString(clusters.Value()); limit < 0 {
			return s[:clusters.Start()]
		}
	}
	return s
}

// avatarChunk is the number of users that AvatarURLs reads at a time.
const avatarChunk = 1000

// AvatarURLs calls yield with the avatar_url of every user that has one, of whatever status, ordered by id. It reads in
// chunks by primary key: memory stays constant, and no connection is held while yield runs. A value that is written
// meanwhile may be missed.
//
// It stops at the first error of yield and returns it unchanged. Other errors: ErrUnavailable, context.Canceled; any
// other error is a defect of the installation.
func (u *Users) AvatarURLs(ctx context.Context, yield func(avatarURL string) error) error {
	var last uint64
	for {
		var rows []userRow
		err := u.db.queries.gorm(ctx).Select("id", "avatar_url").Where("id > ?", last).Order("id").Limit(avatarChunk).
			Find(&rows).Error
		if err != nil {
			return u.db.wrapError(ctx, "avatar urls", err)
		}
		for _, row := range rows {
			last = row.ID
			if row.AvatarURL == "" {
				continue
			}
			if err := yield(row.AvatarURL); err != nil {
				return err
			}
		}
		if len(rows) < avatarChunk {
			return nil
		}
	}
}

// Exist reports whether there is any user, of whatever status. Errors: ErrUnavailable, context.Canceled; any other
// error is a defect of the installation.
func (u *Users) Exist(ctx context.Context) (bool, error) {
	result := u.db.queries.gorm(ctx).Select("id").Limit(1).Find(&userRow{})
	return result.RowsAffected > 0, u.db.wrapError(ctx, "users exist", result.Error)
}
