package ratecount

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// store is the counts in Redis.
type store struct {
	redis  redis.UniversalClient
	prefix string
	window time.Duration
}

// name is where the count of a key stands, but for the start of the window. Braces: a Cluster keeps the windows of a key on
// one node.
func (s store) name(key string) string {
	hash := sha256.Sum256([]byte(key))
	return s.prefix + "{" + base64.RawURLEncoding.EncodeToString(hash[:12]) + "}:"
}

// count counts a batch in one round trip and notes the answers in it.
func (s store) count(ctx context.Context, batch []delta) {
	pipe := s.redis.Pipeline()
	answers := make([]answer, len(batch))
	for i, d := range batch {
		answers[i] = s.queue(ctx, pipe, d)
	}
	_, _ = pipe.Exec(ctx) // the commands keep their errors
	for i := range batch {
		answers[i].note(&batch[i])
	}
}

// queue adds the commands for one delta. A key gets its expiry as it is made, in the same command, so that none is left without
// one, wherever a connection breaks; INCRBY leaves it as it is. It lasts for three windows, and is counted in the first two.
//
// One case is left: SET is refused and the INCRBY after it is not, as a Redis that was full has just found memory. After any
// refusal the Counter tries the same key until Redis is back (amount 0), and that sets the expiry.
func (s store) queue(ctx context.Context, pipe redis.Pipeliner, d delta) (a answer) {
	base, ttl := s.name(d.key), 3*s.window
	name := base + strconv.FormatInt(d.start, 10)
	a.made = pipe.SetNX(ctx, name, 0, ttl)
	a.count = redis.NewIntCmd(ctx, "incrby", name, int64(d.amount))
	_ = pipe.Process(ctx, once{a.count}) // adds it
	if d.amount == 0 {
		a.expiry = pipe.PExpire(ctx, name, ttl)
	}
	if d.ask {
		a.before = pipe.Get(ctx, base+strconv.FormatInt(d.start-int64(s.window/time.Second), 10))
	}
	return a
}
