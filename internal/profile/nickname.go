package profile

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/graphemes"
	"golang.org/x/text/unicode/norm"
)

// The longest nickname.
const (
	// MaxNickName is in characters as people count them: grapheme clusters (Unicode Standard Annex 29), so that an emoji of
	// several code points is one. WeChat's own nicknames have up to 32.
	MaxNickName = 32

	// MaxCodePoints is the length of the column users.nickname. One character may consist of many code points.
	MaxCodePoints = 255
)

// What NickName refuses.
var (
	ErrInvisible = errors.New("profile: the nickname has no visible character")
	ErrTooLong   = errors.New("profile: the nickname is too long")
	ErrCharacter = errors.New("profile: the nickname has a character that does not belong in a name")
)

// NickName returns a nickname that a person typed as it is stored: without white space around it and in Unicode's composed
// form (NFC), in which equal texts are equal bytes.
//
// Errors: ErrCharacter if it has control characters or others that cannot be seen, outside of the emoji and scripts that
// need them, more than 6 combining marks in a row, or invalid UTF-8; ErrInvisible if nothing of it can be seen; ErrTooLong
// if it has more than MaxNickName characters or MaxCodePoints code points.
func NickName(typed string) (string, error) {
	name := normalize(typed)
	switch {
	case withoutStrays(name) != name:
		return "", ErrCharacter
	case !hasVisible(name):
		return "", ErrInvisible
	case cut(name, MaxNickName, MaxCodePoints) != name:
		return "", ErrTooLong
	}
	return name, nil
}

// CleanNickName returns a nickname of WeChat's as it is stored. It takes all that NickName takes, and of other names what is
// left without the characters that NickName refuses, cut between two characters. It returns "" if nothing of that can be seen.
func CleanNickName(given string) string {
	name := normalize(cut(clean(given), MaxNickName, MaxCodePoints))
	if !hasVisible(name) {
		return ""
	}
	return name
}

// CleanText is CleanNickName for other short texts, such as a city. Their length is left to the store.
func CleanText(given string) string {
	text := clean(given)
	if !hasVisible(text) {
		return ""
	}
	return text
}

// normalize returns a text in NFC without white space around it.
func normalize(s string) string {
	return strings.TrimFunc(norm.NFC.String(s), func(r rune) bool { return unicode.IsSpace(r) || isBlank(r) })
}

// clean returns a text that is normalized and has no strays. Either step may give the other one more to do.
func clean(s string) string {
	for {
		normalized := normalize(s)
		if s = withoutStrays(normalized); s == normalized {
			return s
		}
	}
}

// hasVisible reports whether anything of a text without strays can be seen.
func hasVisible(s string) bool { return strings.ContainsFunc(s, isVisible) }

// cut returns the longest beginning of s that has at most this many characters and code points.
func cut(s string, characters, codePoints int) string {
	for c := graphemes.FromString(s); c.Next(); characters-- {
		codePoints -= utf8.RuneCountInString(c.Value())
		if characters == 0 || codePoints < 0 {
			return s[:c.Start()]
		}
	}
	return s
}
