package main

import (
	"fmt"
	"strconv"
	"strings"
)

// nickname tells whose it is and which of that user's it is: "u07-3 r000123".
func nickname(user string, revision int) string { return fmt.Sprintf("%s r%06d", user, revision) }

// readNickname takes a nickname apart. One that is empty is nobody's yet, revision 0.
func readNickname(s string) (user string, revision int, ok bool) {
	if s == "" {
		return "", 0, true
	}
	user, text, found := strings.Cut(s, " r")
	revision, err := strconv.Atoi(text)
	return user, revision, found && err == nil && len(text) == 6
}
