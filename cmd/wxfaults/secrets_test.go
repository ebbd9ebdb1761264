package main

import (
	"slices"
	"testing"
)

func TestFinder_finds_each_secret_where_it_is(t *testing.T) {
	secrets := map[string]secretKind{
		"abcdefgh": secretToken, "abcdefghij": secretCode, "0123456789": secretKey,
		"short": secretApp, "abcdefgh-other": secretOpenID,
	}
	f := newFinder(secrets, secretToken, secretCode, secretKey)
	for text, want := range map[string]int{
		"":                             0,
		"abcdefg":                      0,
		"abcdefgh":                     1,
		"x abcdefghij y":               2,
		"zabcdefghz 0123456789":        2,
		"012345678":                    0,
		"abcdefgh-other":               1, // only the token in it: openids are not looked for
		"0123456789abcdefgh0123456789": 3,
	} {
		if got := f.find([]byte(text)); len(got) != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	if got := f.find([]byte("0123456789 abcdefgh")); !slices.Equal(got, []secretKind{secretKey, secretToken}) {
		t.Error(got)
	}
}
