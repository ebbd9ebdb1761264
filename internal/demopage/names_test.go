package demopage

import (
	"crypto/sha256"
	"testing"
)

func TestNames_number_values(t *testing.T) {
	n := newNames()
	for _, tt := range []struct{ kind, value, want string }{
		{"token", "a", "token 1"}, {"token", "b", "token 2"}, {"code", "c", "code 1"}, {"token", "a", "token 1"},
		{"Authorization", "b", "token 2"}, // the same value in another field
	} {
		if got := n.name(tt.kind, tt.value); got != tt.want {
			t.Errorf("%s %s is %q, want %q", tt.kind, tt.value, got, tt.want)
		}
	}
	hash := sha256.Sum256([]byte("b"))
	if got := n.ofHash(hash[:]); got != "token 2" {
		t.Errorf("by its hash it is %q", got)
	}
	if got := n.ofHash([]byte("short")); got != "" {
		t.Errorf("what is no hash is %q", got)
	}
}
