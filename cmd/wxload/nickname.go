package main

import (
	"strconv"
	"strings"
)

// nickname tells whose it is and which of that user's: "w7-12 r3".
func nickname(user string, revision int) string { return user + " r" + strconv.Itoa(revision) }

// revisionOf is the revision in a nickname of this user; ok is false where it is another's.
func revisionOf(user, nickname string) (revision int, ok bool) {
	text, ok := strings.CutPrefix(nickname, user+" r")
	if !ok {
		return 0, false
	}
	revision, err := strconv.Atoi(text)
	return revision, err == nil && revision >= 0
}
