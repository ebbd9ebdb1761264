package store

import (
	"strings"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/graphemes"
)

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
