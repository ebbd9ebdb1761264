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

// changes are the columns in which two profiles differ, AsOf aside, with the values of the second.
func (p Profile) changes(next Profile) map[string]any {
	columns := map[string]any{}
	note(columns, "nickname", p.NickName, next.NickName)
	note(columns, "avatar_url", p.AvatarURL, next.AvatarURL)
	note(columns, "gender", p.Gender, next.Gender)
	note(columns, "country", p.Country, next.Country)
	note(columns, "province", p.Province, next.Province)
	note(columns, "city", p.City, next.City)
	note(columns, "language", p.Language, next.Language)
	note(columns, "profile_source", p.Source, next.Source)
	return columns
}

func note[T comparable](columns map[string]any, name string, old, next T) {
	if old != next {
		columns[name] = next
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
