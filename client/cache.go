package client

import (
	"crypto/sha256"
	"sync"
	"time"
)

// maxCached bounds the number of tokens that are kept.
const maxCached = 10000

// cache keeps active tokens for a short time. Refused ones are not kept: the next login may have ended the refusal, and
// made-up tokens would push the real ones out. A nil cache keeps nothing.
type cache struct {
	ttl time.Duration

	mu      sync.Mutex
	entries map[[sha256.Size]byte]cached // by the token's hash, so that no token stays in memory after its request
}

type cached struct {
	token Token
	until time.Time
}

// newCache returns nil if ttl is 0.
func newCache(ttl time.Duration) *cache {
	if ttl == 0 {
		return nil
	}
	return &cache{ttl: ttl, entries: make(map[[sha256.Size]byte]cached)}
}

func (c *cache) get(token string) (Token, bool) {
	if c == nil {
		return Token{}, false
	}
	hash := sha256.Sum256([]byte(token))
	c.mu.Lock()
	defer c.mu.Unlock()
	entry := c.entries[hash]
	return entry.token, time.Now().Before(entry.until)
}

// put keeps a token, at most until its session ends. If there are too many, any other one goes.
func (c *cache) put(token string, t Token) {
	if c == nil {
		return
	}
	until := time.Now().Add(c.ttl)
	if t.ExpiresAt.Before(until) {
		until = t.ExpiresAt
	}
	hash := sha256.Sum256([]byte(token))
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.entries[hash]; !known && len(c.entries) >= maxCached {
		for other := range c.entries {
			delete(c.entries, other)
			break
		}
	}
	c.entries[hash] = cached{t, until}
}
