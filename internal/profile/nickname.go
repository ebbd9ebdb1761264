package profile

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/graphemes"
	"golang.org/x/text/unicode/norm"
)

// The maximum length of a nickname.
const (
	// MaxNickName is in characters as users count them: grapheme clusters (Unicode Standard Annex 29), so that an emoji
	// of several code points counts as one. WeChat's own limit is 32 too.
	MaxNickName = 32

	// MaxCodePoints is the length of the column users.nickname. A character may consist of many code points.
	MaxCodePoints = 255
)

// Errors of NickName.
var (
	ErrInvisible = errors.New("profile: the nickname has no visible character")
	ErrTooLong   = errors.New("profile: the nickname is too long")
	ErrCharacter = errors.New("profile: the nickname has a character that does not belong in a name")
)

// NickName returns a nickname that a user entered in the form in which it is stored: without surrounding white space,
// and in Unicode's composed form (NFC), in which equal texts are equal bytes.
//
// It returns ErrCharacter if the nickname has invalid UTF-8, more than 6 combining marks in a row, or control
// characters or other invisible characters outside the emoji and scripts that need them. It returns ErrInvisible if no
// character is visible, and ErrTooLong if there are more than MaxNickName characters or MaxCodePoints code points.
func NickName(entered string) (string, error) {
	name := normalize(entered)
	switch {
	case stripInvalid(name) != name:
		return "", ErrCharacter
	case !hasVisible(name):
		return "", ErrInvisible
	case truncate(name, MaxNickName, MaxCodePoints) != name:
		return "", ErrTooLong
	}
	return name, nil
}

// CleanNickName returns a nickname from WeChat in the form in which it is stored. If NickName accepts the nickname, the
// result is the same. Otherwise it drops the characters that NickName rejects, and truncates the rest between two
// characters. If nothing visible is left, it returns "".
func CleanNickName(raw string) string {
	name := normalize(truncate(clean(raw), MaxNickName, MaxCodePoints))
	if !hasVisible(name) {
		return ""
	}
	return name
}

// CleanText is CleanNickName for other short texts, such as a city. It does not truncate; the store does.
func CleanText(raw string) string {
	text := clean(raw)
	if !hasVisible(text) {
		return ""
	}
	return text
}

// normalize returns a text in NFC without surrounding white space.
func normalize(s string) string {
	return strings.TrimFunc(norm.NFC.String(s), func(r rune) bool { return unicode.IsSpace(r) || isBlank(r) })
}

// clean normalizes a text and drops invalid characters. It repeats both, because each may give the other something to
// do.
func clean(s string) string {
	for {
		normalized := normalize(s)
		if s = stripInvalid(normalized); s == normalized {
			return s
		}
	}
}

// hasVisible reports whether a cleaned text has a visible character.
func hasVisible(s string) bool { return strings.ContainsFunc(s, isVisible) }

// truncate returns the longest prefix of s with at most this many characters and code points.
func truncate(s string, characters, codePoints int) string {
	for c := graphemes.FromString(s); c.Next(); characters-- {
		codePoints -= utf8.RuneCountInString(c.Value())
		if characters == 0 || codePoints < 0 {
			return s[:c.Start()]
		}
	}
	return s
}
