package store

import (
	"cmp"
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/graphemes"
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

// updatedBy is the profile after new data: what is given replaces what is there.
func (p Profile) updatedBy(given Profile) Profile {
	next := given.filledFrom(p)
	if given.fixedLanguage() && p.Language != "" {
		next.Language = p.Language
	}
	next.Source = p.Source
	if next.NickName != p.NickName || next.AvatarURL != p.AvatarURL {
		next.Source = cmp.Or(given.Source, SourceWeChat)
	}
	return next
}

// filledFrom is the profile with its empty fields taken from another one.
func (p Profile) filledFrom(other Profile) Profile {
	fill(&p.NickName, other.NickName)
	fill(&p.AvatarURL, other.AvatarURL)
	fill(&p.Gender, other.Gender)
	fill(&p.Country, other.Country)
	fill(&p.Province, other.Province)
	fill(&p.City, other.City)
	fill(&p.Language, other.Language)
	fill(&p.Source, other.Source)
	return p
}

func fill[T comparable](field *T, with T) {
	var empty T
	if *field == empty {
		*field = with
	}
}

// fixedLanguage reports whether the language is only the one that WeChat gives everybody since 2021-10-20, along with
// gender 0 and an empty place.
func (p Profile) fixedLanguage() bool {
	return p.Language == "zh_CN" && p.Gender == 0 && p.Country == "" && p.Province == "" && p.City == ""
}

// empty reports whether nothing is given that is worth storing. The fixed language alone is not: it says nothing about the user.
func (p Profile) empty() bool {
	if p.fixedLanguage() {
		p.Language = ""
	}
	return p == Profile{AsOf: p.AsOf, Source: p.Source}
}

// profileColumns are the columns that an update of a profile may write, AsOf aside, in the order of changes.
var profileColumns = [...]string{
	"nickname", "avatar_url", "gender", "country", "province", "city", "language", "profile_source",
}

// changes are what profileColumns become: nil for a column that stays as it is.
type changes [len(profileColumns)]any

func (c changes) none() bool { return c == changes{} }

// changes are the fields in which two profiles differ, AsOf aside, as they are in the second.
func (p Profile) changes(next Profile) (c changes) {
	note(&c[0], p.NickName, next.NickName)
	note(&c[1], p.AvatarURL, next.AvatarURL)
	note(&c[2], p.Gender, next.Gender)
	note(&c[3], p.Country, next.Country)
	note(&c[4], p.Province, next.Province)
	note(&c[5], p.City, next.City)
	note(&c[6], p.Language, next.Language)
	note(&c[7], p.Source, next.Source)
	return c
}

func note[T comparable](change *any, old, next T) {
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

// setProfile puts all of a profile but AsOf into the row.
func (r *userRow) setProfile(p Profile, now time.Time) {
	r.NickName, r.AvatarURL, r.Gender = p.NickName, p.AvatarURL, p.Gender
	r.Country, r.Province, r.City, r.Language = p.Country, p.Province, p.City, p.Language
	r.ProfileSource = p.Source
	r.ProfileUpdatedAt, r.UpdatedAt = &now, now
}

// The lengths of the columns, in characters.
const (
	maxNickName  = 255
	maxAvatarURL = 1024
	maxPlace     = 128
	maxLanguage  = 32
)

// fit brings a profile to what the columns take, so that the server neither refuses it nor cuts it in its own way.
func (p Profile) fit() Profile {
	if p.Gender != 1 && p.Gender != 2 {
		p.Gender = 0
	}
	if !utf8.ValidString(p.AvatarURL) || utf8.RuneCountInString(p.AvatarURL) > maxAvatarURL {
		p.AvatarURL = ""
	}
	p.NickName = cut(p.NickName, maxNickName)
	p.Country = cut(p.Country, maxPlace)
	p.Province = cut(p.Province, maxPlace)
	p.City = cut(p.City, maxPlace)
	p.Language = cut(p.Language, maxLanguage)
	return p
}

// cut keeps the first characters of a text, without the bytes in it that are not UTF-8. limit is in code points, as the column
// counts, but the cut is between two characters as people see them (grapheme clusters): half an emoji is another one.
func cut(s string, limit int) string {
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

// avatarChunk is how many users AvatarURLs reads at a time.
const avatarChunk = 1000

const selectAvatars = "SELECT id, avatar_url FROM users WHERE id > ? ORDER BY id LIMIT ?"

// AvatarURLs calls yield with the avatar_url of every user that has one, whatever the user's status, in the order of ids. It
// reads in chunks by primary key: memory stays constant, and neither a connection nor a transaction is held while yield
// runs. A value that is written during the walk may be missed.
//
// It stops at the first error of yield and returns it unchanged. Other errors: ErrUnavailable, context.Canceled; anything
// else is a fault of the installation.
func (u *Users) AvatarURLs(ctx context.Context, yield func(avatarURL string) error) error {
	var last uint64
	for {
		rows, err := u.avatarsAfter(ctx, last)
		if err != nil {
			return u.db.fault(ctx, "avatar urls", err)
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

// avatarsAfter reads one chunk: id and avatar_url alone.
func (u *Users) avatarsAfter(ctx context.Context, id uint64) ([]userRow, error) {
	result, err := u.db.sql.QueryContext(ctx, selectAvatars, id, avatarChunk)
	if err != nil {
		return nil, err
	}
	defer result.Close()
	var rows []userRow
	for result.Next() {
		var row userRow
		if err := result.Scan(&row.ID, &row.AvatarURL); err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, result.Err()
}

// Exist reports whether there is any user, of whatever status. Errors: ErrUnavailable, context.Canceled; anything else is a fault
// of the installation.
func (u *Users) Exist(ctx context.Context) (bool, error) {
	var exist bool
	err := u.db.sql.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM users)").Scan(&exist)
	return exist, u.db.fault(ctx, "users exist", err)
}
