package main

import "testing"

func TestNickname_reads_as_written(t *testing.T) {
	for _, user := range []string{"u07-12", "k01", "r2"} {
		if got, revision, ok := readNickname(nickname(user, 123)); got != user || revision != 123 || !ok {
			t.Errorf("%s: %q, %d, %v", user, got, revision, ok)
		}
	}
	if _, revision, ok := readNickname(""); revision != 0 || !ok {
		t.Error("nobody has revision 0")
	}
	for _, s := range []string{"Alice", "u07-12 r12", "u07-12 rabcdef", " r", "u07-12 r000123 "} {
		if _, _, ok := readNickname(s); ok {
			t.Errorf("%q is taken", s)
		}
	}
}
