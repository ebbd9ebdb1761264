// Package profile checks and normalizes nicknames and avatar URLs before they are stored.
//
//	name, err := profile.NickName(entered)        // what a user entered: err says what is wrong
//	name := profile.CleanNickName(info.NickName)  // what WeChat sent: drops what is not allowed
//	address, ok := profile.AvatarURL(entered)     // either; ok is false if others could not load it
//
// The rules are the same for both sources, and only the consequence differs. A user can correct a nickname, so NickName
// rejects it with a reason. WeChat's data cannot be corrected, so CleanNickName and CleanText drop what does not belong
// in it, and the caller treats a URL that AvatarURL rejects as missing.
//
// WeChat's placeholders are not known here; package wechat recognizes them. The package imports nothing of this module.
package profile

import (
	"errors"
	"regexp"
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

// maxMarks is the maximum number of consecutive combining marks. Unicode Technical Standard 39, section 5.4, recommends
// to forbid more than 4 nonspacing ones, which pile up over neighbouring lines; Burmese syllables have spacing ones in
// addition.
const maxMarks = 6

const (
	zeroWidthNonJoiner      = '\u200c'
	zeroWidthJoiner         = '\u200d'
	mongolianVowelSeparator = '\u180e'
)

// tagFlag matches the flag of a region such as Scotland: a black flag, and the region's code in invisible tag
// characters (Unicode Technical Standard 51, section 3.1 and annex C).
var tagFlag = regexp.MustCompile(`^\x{1F3F4}[\x{E0030}-\x{E0039}\x{E0061}-\x{E007A}]{3,6}\x{E007F}$`)

// stripInvalid drops the characters that do not belong in a name:
//
//   - control characters, line and paragraph separators, private use, noncharacters, interlinear annotations and the
//     object replacement character, which change the text around them or have no meaning on their own;
//   - invisible characters (Default_Ignorable_Code_Point: bidi controls, fillers, deprecated format characters), unless
//     they are part of an emoji or of a script that needs them;
//   - combining marks without a base character, or too many of them;
//   - bytes that are not UTF-8.
func stripInvalid(s string) string {
	s = strings.ToValidUTF8(s, "")
	var b strings.Builder
	b.Grow(len(s))
	var before preceding
	for clusters := graphemes.FromString(s); clusters.Next(); {
		cluster := clusters.Value()
		flag := tagFlag.MatchString(cluster)
		for i, r := range cluster {
			if flag || before.allows(r, cluster[i+utf8.RuneLen(r):]) {
				b.WriteRune(r)
				before.add(r)
			}
		}
	}
	return b.String()
}

// preceding is the state before a character.
type preceding struct {
	last  rune // the previous character; 0 at the beginning
	base  rune // the last character that is neither a mark nor ignorable
	marks int  // combining marks since base
}

func (c *preceding) add(r rune) {
	c.last = r
	switch {
	case isIgnorable(r):
	case unicode.IsMark(r):
		c.marks++
	default:
		c.base, c.marks = r, 0
	}
}

// allows reports whether r may come next. rest is the part of its grapheme cluster after r.
func (c *preceding) allows(r rune, rest string) bool {
	switch {
	case isIgnorable(r):
		return c.allowsIgnorable(r, rest)
	case unicode.IsMark(r):
		return c.base != 0 && c.marks < maxMarks
	}
	return !unicode.In(r, unicode.Cc, unicode.Co, unicode.Zl, unicode.Zp, unicode.Noncharacter_Code_Point) && !isSpecial(r)
}

func (c *preceding) allowsIgnorable(r rune, rest string) bool {
	switch {
	case unicode.Is(unicode.Variation_Selector, r):
		return isVisible(c.last)
	case r == mongolianVowelSeparator:
		return unicode.Is(unicode.Mongolian, c.base) && !isIgnorable(c.last)
	case r == zeroWidthNonJoiner, r == zeroWidthJoiner && !joinsEmoji(rest):
		return isJoiningLetter(c.base) && !isIgnorable(c.last)
	case r == zeroWidthJoiner:
		return isVisible(c.base) && !unicode.In(c.base, unicode.L, unicode.N) && c.last != zeroWidthJoiner
	}
	return false
}

// joinsEmoji reports whether a zero-width joiner is followed by another emoji. After a joiner, a grapheme cluster
// continues with an emoji (rule GB11), a letter (GB9c) or something that is attached to the joiner itself.
func joinsEmoji(rest string) bool {
	next, _ := utf8.DecodeRuneInString(rest)
	return rest != "" && isVisible(next) && !unicode.IsLetter(next)
}

// nonJoiningScripts are the scripts of most names. Their letters have one form only, so a joiner is invisible there.
var nonJoiningScripts = []*unicode.RangeTable{
	unicode.Latin, unicode.Greek, unicode.Cyrillic, unicode.Armenian, unicode.Georgian, unicode.Hebrew, unicode.Thai, unicode.Lao,
	unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Bopomofo, unicode.Hangul, unicode.Yi, unicode.Common,
}

// isJoiningLetter reports whether a character is a letter of a script such as Arabic or Devanagari, whose letters
// change their form next to others. There a joiner selects the form.
func isJoiningLetter(r rune) bool { return unicode.IsLetter(r) && !unicode.In(r, nonJoiningScripts...) }

// isVisible reports whether a character is visible on its own. An unassigned one (Cn) counts as visible: it may be an
// emoji that is newer than Go's tables, and is drawn as a box otherwise.
func isVisible(r rune) bool {
	return unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S, unicode.Cn) && !isIgnorable(r) && !isBlank(r)
}

// isBlank reports whether a character is invisible although Unicode calls it a letter or a symbol: the empty Braille
// pattern, the musical null notehead, and the blanks of Egyptian hieroglyphs.
func isBlank(r rune) bool {
	return r == '\u2800' || r == '\U0001d159' || r == '\U00013441' || r == '\U00013442'
}

// isSpecial reports whether a character marks an annotation or an embedded object (The Unicode Standard, section 23.8).
func isSpecial(r rune) bool { return r >= '\ufff9' && r <= '\ufffc' }

// isIgnorable reports whether a character has the property Default_Ignorable_Code_Point: it is not drawn, not even as a
// box. The formula is from Unicode's DerivedCoreProperties.txt.
func isIgnorable(r rune) bool {
	if r < 0x80 || !unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Cf, unicode.Variation_Selector) {
		return false
	}
	return !unicode.Is(unicode.Prepended_Concatenation_Mark, r) && !isSpecial(r) && (r < 0x13430 || r > 0x13440)
}
