package handlers

import "strings"

// maskPhone shows so much of a national number that its owner knows it again: of 11 digits and more the first 3 and the
// last 4, as people in China expect it; of fewer the last third alone, so that most of it stays hidden.
func maskPhone(number string) string {
	head, tail := 3, 4
	if len(number) < 11 {
		head, tail = 0, len(number)/3
	}
	return number[:head] + strings.Repeat("*", len(number)-head-tail) + number[len(number)-tail:]
}
