package demopage

import (
	"crypto/sha256"
	"fmt"
	"sync"
)

// names gives secrets names that may be shown: "token 1", "token 2", the same one for the same value. It keeps hashes
// only.
type names struct {
	mu     sync.Mutex
	byHash map[[sha256.Size]byte]string
	count  map[string]int // by kind
}

func newNames() *names {
	return &names{byHash: map[[sha256.Size]byte]string{}, count: map[string]int{}}
}

// name is the name of a value; kind begins it where the value is new.
func (n *names) name(kind, value string) string {
	hash := sha256.Sum256([]byte(value))
	n.mu.Lock()
	defer n.mu.Unlock()
	if known, ok := n.byHash[hash]; ok {
		return known
	}
	n.count[kind]++
	name := fmt.Sprintf("%s %d", kind, n.count[kind])
	n.byHash[hash] = name
	return name
}

// ofHash is the name of a value of which only the SHA-256 is known, "" where it has none.
func (n *names) ofHash(hash []byte) string {
	if len(hash) != sha256.Size {
		return ""
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.byHash[[sha256.Size]byte(hash)]
}
