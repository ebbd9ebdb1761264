package fields

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// What a person may give, in characters. WeChat's own nicknames have up to 32.
const (
	maxNickName  = 32
	maxAvatarURL = 1024
)

// NickName gives the nickname that a person typed, in the form in which equal texts are equal bytes (NFC) and without
// spaces around it; "" where there is none. *Error: it has not 1 to 32 characters, or one that is not for names.
func (f Fields) NickName() (string, error) {
	given := f["nickName"]
	if given == "" {
		return "", nil
	}
	s := strings.TrimSpace(norm.NFC.String(given))
	if n := utf8.RuneCountInString(s); n < 1 || n > maxNickName {
		return "", invalid("The field nickName has not 1 to 32 characters.")
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, disturbs) {
		return "", invalid("The field nickName holds a character that is not for names.")
	}
	return s, nil
}

// disturbs tells characters that change the text around them, or lines: controls, line and paragraph separators, and those
// that turn the direction of writing (Unicode Standard Annex 9, section 2). Joiners stay: emoji are made with them.
func disturbs(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == '\ufeff' ||
		r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' || r == '\u200e' || r == '\u200f' || r == '\u061c'
}

// AvatarURL gives the address of the avatar that a person chose; "" where there is none. *Error: it is no https address
// of at most 1024 characters. What chooseAvatar gives (wxfile://tmp…, http://tmp/…) is a file on the phone.
func (f Fields) AvatarURL() (string, error) {
	s := strings.TrimSpace(f["avatarUrl"])
	if s == "" {
		return "", nil
	}
	u, err := url.Parse(s)
	plain := !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
	if err != nil || !plain || len(s) > maxAvatarURL || u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return "", invalid("The field avatarUrl is not an https address of at most 1024 characters.")
	}
	return s, nil
}
