package profile

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/graphemes"
)

// maxMarks is how many combining marks a name may have in a row. Unicode Technical Standard 39, section 5.4, advises to
// forbid more than 4 nonspacing ones, which pile up over the lines around them; syllables of Burmese have spacing ones too.
const maxMarks = 6

const (
	zeroWidthNonJoiner      = '\u200c'
	zeroWidthJoiner         = '\u200d'
	mongolianVowelSeparator = '\u180e'
)

// tagFlag is the flag of a part of a country, such as Scotland: a black flag, and its code in characters that cannot be seen
// (Unicode Technical Standard 51, section 3.1 and annex C).
var tagFlag = regexp.MustCompile(`^\x{1F3F4}[\x{E0030}-\x{E0039}\x{E0061}-\x{E007A}]{3,6}\x{E007F}$`)

// withoutStrays returns a text without the characters that do not belong in a name:
//
//   - those that change the text around them or lines, or that have no meaning of their own: control characters, line and
//     paragraph separators, private use, noncharacters, interlinear annotations and the object replacement character;
//   - those that cannot be seen (Default_Ignorable_Code_Point: turns of direction, fillers, deprecated format characters),
//     unless they are a part of an emoji or of a script that needs them;
//   - combining marks without a character to combine with, or too many of them;
//   - bytes that are not UTF-8.
func withoutStrays(s string) string {
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

// preceding is what comes before a character.
type preceding struct {
	last  rune // the character before; 0 at the beginning
	base  rune // the last one that is neither a mark nor ignorable
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

// allows reports whether a name may go on with r. rest is what follows r within its grapheme cluster.
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
		return joins(c.base) && !isIgnorable(c.last)
	case r == zeroWidthJoiner:
		return isVisible(c.base) && !unicode.In(c.base, unicode.L, unicode.N) && c.last != zeroWidthJoiner
	}
	return false
}

// joinsEmoji reports whether a zero-width joiner is followed by another emoji. Grapheme clusters go on after a joiner with an
// emoji (rule GB11), a letter (GB9c) or something that is attached to the joiner itself.
func joinsEmoji(rest string) bool {
	next, _ := utf8.DecodeRuneInString(rest)
	return rest != "" && isVisible(next) && !unicode.IsLetter(next)
}

// unjoined are the scripts of most names, whose letters have one form only. A joiner cannot be seen there.
var unjoined = []*unicode.RangeTable{
	unicode.Latin, unicode.Greek, unicode.Cyrillic, unicode.Armenian, unicode.Georgian, unicode.Hebrew, unicode.Thai, unicode.Lao,
	unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Bopomofo, unicode.Hangul, unicode.Yi, unicode.Common,
}

// joins reports whether a character is a letter of a script whose letters change their form beside others, such as Arabic and
// Devanagari: there joiners say which form is meant.
func joins(r rune) bool { return unicode.IsLetter(r) && !unicode.In(r, unjoined...) }

// isVisible reports whether a character can be seen by itself. Go may know fewer characters than phones do: one that it does
// not know (Cn) may be a new emoji, and is drawn as a box otherwise.
func isVisible(r rune) bool {
	return unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S, unicode.Cn) && !isIgnorable(r) && !isBlank(r)
}

// isBlank reports whether a character is a letter or a symbol to Unicode, but has nothing to be seen: the empty Braille pattern,
// the musical null notehead, and the blanks of Egyptian hieroglyphs.
func isBlank(r rune) bool {
	return r == '\u2800' || r == '\U0001d159' || r == '\U00013441' || r == '\U00013442'
}

// isSpecial reports whether a character marks an annotation or stands for an object that is not in the text (The Unicode
// Standard, section 23.8).
func isSpecial(r rune) bool { return r >= '\ufff9' && r <= '\ufffc' }

// isIgnorable reports whether a character has the property Default_Ignorable_Code_Point: it is not drawn, not even as a box.
// The formula is that of Unicode's DerivedCoreProperties.txt.
func isIgnorable(r rune) bool {
	if r < 0x80 || !unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Cf, unicode.Variation_Selector) {
		return false
	}
	return !unicode.Is(unicode.Prepended_Concatenation_Mark, r) && !isSpecial(r) && (r < 0x13430 || r > 0x13440)
}
