package userlist

import (
	"slices"
	"strings"

	"wxlogin/store"
)

// The lengths of a phone number, in digits with the country code (ITU-T E.164, and shorter than any number that exists).
const (
	minPhone = 7
	maxPhone = 15
)

// shortCodes are the country codes of one and two digits. All others have three digits (ITU-T E.164, list of assigned codes).
var shortCodes = strings.Fields("1 7 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 " +
	"65 66 81 82 84 86 90 91 92 93 94 95 98")

// parsePhone splits a phone number such as +8613800138000 into its country code and the national number.
func parsePhone(text string) (p store.Phone, ok bool) {
	digits, international := strings.CutPrefix(text, "+")
	if !international || len(digits) < minPhone || len(digits) > maxPhone || strings.Trim(digits, "0123456789") != "" || digits[0] == '0' {
		return store.Phone{}, false
	}
	n := 3
	if i := slices.IndexFunc(shortCodes, func(code string) bool { return strings.HasPrefix(digits, code) }); i >= 0 {
		n = len(shortCodes[i])
	}
	return store.Phone{CountryCode: digits[:n], Number: digits[n:]}, true
}
