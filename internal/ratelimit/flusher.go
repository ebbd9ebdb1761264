package ratelimit

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// batchSize is how many counts go in one pipeline.
	batchSize = 512

	// retryInterval is how often a degraded Counter checks whether Redis is back.
	retryInterval = 200 * time.Millisecond
)

// run is the flusher: it sends pending counts until Close, and then once more.
func (c *Counter) run() {
	defer close(c.stopped)
	for c.sleep() {
		c.flush()
	}
	c.flush()
}

func (c *Counter) wakeUp() {
	select {
	case c.wake <- struct{}{}:
	default: // the flusher is to be woken already
	}
}

// sleep waits until it is time to flush. It returns false once the Counter is closed.
func (c *Counter) sleep() bool {
	pause := retryInterval
	if !c.Degraded() {
		pause = c.flushInterval
		select {
		case <-c.wake:
		case <-c.stop:
			return false
		}
	}
	select {
	case <-time.After(pause):
		return true
	case <-c.stop:
		return false
	}
}

// flush sends all that is pending. If Redis is away, it first checks whether Redis is back, with the same keys that
// failed: in a Cluster the other nodes may be well, and a Redis that is full still reads. Redis is back if everything
// pending went through too: some of it may be for another node that is away.
func (c *Counter) flush() {
	degraded := c.Degraded()
	if degraded && !c.send(c.failed) {
		return
	}
	if c.sendPending() && degraded {
		c.degraded.Store(false)
		c.onDegraded(false)
	}
}

// sendPending sends all that is pending, up to the first batch that fails.
func (c *Counter) sendPending() (ok bool) {
	batch := c.batch[:0]
	for i := range c.table.shards {
		shard := &c.table.shards[i]
		batch = shard.take(batch)
		for len(batch) == batchSize {
			if !c.send(batch) {
				return false
			}
			batch = shard.take(batch[:0])
		}
	}
	return len(batch) == 0 || c.send(batch)
}

// send counts a batch in Redis and takes up the replies. What failed is applied too, because it must not be sent again;
// it is kept without its amount, to find out whether Redis is back.
func (c *Counter) send(batch []delta) (ok bool) {
	ctx, cancel := c.pipelineContext()
	defer cancel()
	if ctx.Err() != nil { // Close has no time left
		return false
	}
	c.store.count(ctx, batch)
	var failed []delta
	for _, d := range batch {
		c.table.shardOf(d.hash).apply(d)
		if d.failed {
			d.amount = 0
			failed = append(failed, d)
		}
	}
	c.failed = failed
	if len(failed) > 0 && c.degraded.CompareAndSwap(false, true) {
		c.onDegraded(true)
	}
	return len(failed) == 0
}

// pipelineContext bounds one pipeline; after Close, all that are left together.
func (c *Counter) pipelineContext() (context.Context, context.CancelFunc) {
	select {
	case <-c.stop:
		return context.WithDeadline(context.Background(), c.deadline)
	default:
		return context.WithTimeout(context.Background(), c.timeout)
	}
}

// delta is what was counted here for a key in a window and is not in Redis yet, on its way there and back.
type delta struct {
	hash   uint64
	key    string
	start  int64 // of the window
	amount int32 // 0 only finds out whether Redis is back
	ask    bool  // reads the previous window, too

	total  int32 // of all instances in the window; 0 if Redis did not say
	before int32 // and in the previous window
	failed bool  // Redis is away; it is unknown whether amount was counted
}

// redisStore has the counts in Redis.
type redisStore struct {
	client redis.UniversalClient
	prefix string
	window time.Duration
}

// baseKey is the Redis key of a count without the start of its window. Braces: a Cluster keeps the windows of a key on
// one node.
func (s *redisStore) baseKey(key string) string {
	hash := sha256.Sum256([]byte(key))
	return s.prefix + "{" + base64.RawURLEncoding.EncodeToString(hash[:12]) + "}:"
}

// count sends a batch in one round trip and reads the replies into it.
func (s *redisStore) count(ctx context.Context, batch []delta) {
	pipe := s.client.Pipeline()
	replies := make([]reply, len(batch))
	for i, d := range batch {
		replies[i] = s.queue(ctx, pipe, d)
	}
	if cmds, err := pipe.Exec(ctx); err != nil {
		failAll(cmds, err)
	}
	for i := range batch {
		replies[i].read(&batch[i])
	}
}

// failAll gives each command of a pipeline its error if none has one: Redis has refused the connection (a password, a
// database number), and the commands are left as if they had been answered.
func failAll(cmds []redis.Cmder, err error) {
	if slices.ContainsFunc(cmds, func(cmd redis.Cmder) bool { return cmd.Err() != nil }) {
		return
	}
	for _, cmd := range cmds {
		cmd.SetErr(err)
	}
}

// queue adds the commands for one delta. A key gets its expiry in the command that creates it, so that a connection
// that breaks leaves none without; INCRBY keeps the expiry. It lasts for three windows, and the count matters in the
// first two.
//
// One case is left: SET is refused and the INCRBY after it is not, because a Redis that was full has just found memory.
// After any refusal the Counter tries the same key until Redis is back (amount 0), and that sets the expiry.
func (s *redisStore) queue(ctx context.Context, pipe redis.Pipeliner, d delta) (r reply) {
	base, ttl := s.baseKey(d.key), 3*s.window
	name := base + strconv.FormatInt(d.start, 10)
	r.created = pipe.SetNX(ctx, name, 0, ttl)
	r.count = redis.NewIntCmd(ctx, "incrby", name, int64(d.amount))
	_ = pipe.Process(ctx, noRetryCmd{r.count}) // adds it
	if d.amount == 0 {
		r.expiry = pipe.PExpire(ctx, name, ttl)
	}
	if d.ask {
		r.before = pipe.Get(ctx, base+strconv.FormatInt(d.start-int64(s.window/time.Second), 10))
	}
	return r
}

// noRetryCmd is an INCRBY that is not sent again. If a connection breaks, a client repeats the whole pipeline, and a
// client of a Cluster does so whatever its options are, unless such a command is in it. MOVED redirections are still
// followed.
type noRetryCmd struct{ *redis.IntCmd }

// NoRetry is called by the client.
func (noRetryCmd) NoRetry() bool { return true }

// reply is the commands of one delta. Those that were not needed are nil.
type reply struct {
	created, expiry *redis.BoolCmd
	count           *redis.IntCmd
	before          *redis.StringCmd
}

// read takes up what Redis has replied. What is not a number counts as 0.
func (r reply) read(d *delta) {
	d.total = saturated(r.count.Val())
	d.failed = isOutage(r.created.Err()) || isOutage(r.count.Err())
	if r.expiry != nil {
		d.failed = d.failed || isOutage(r.expiry.Err())
	}
	if r.before != nil {
		d.failed = d.failed || isOutage(r.before.Err())
		if before, err := strconv.ParseInt(r.before.Val(), 10, 64); err == nil {
			d.before = saturated(before)
		}
	}
}

// isOutage reports whether an error means that Redis is away, or cannot count.
func isOutage(err error) bool {
	return err != nil && !errors.Is(err, redis.Nil) && !isBadValue(err)
}

// isBadValue reports whether Redis is well, but the key of a count has a value that is not a count. Only this key is
// counted here alone then.
func isBadValue(err error) bool {
	return redis.HasErrorPrefix(err, "WRONGTYPE") || redis.HasErrorPrefix(err, "value is not an integer") ||
		redis.HasErrorPrefix(err, "increment or decrement would overflow")
}
