package store

import (
	"cmp"
	"time"
)

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
