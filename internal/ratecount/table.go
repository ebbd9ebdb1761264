package ratecount

import (
	"hash/maphash"
	"time"
)

// shards is how many keys can be counted at the same moment.
const shards = 64

// table is the counts of this process. Keys are told apart by a hash of 64 bits with a seed that nobody knows.
type table struct {
	seed   maphash.Seed
	shards [shards]shard
}

func newTable(window time.Duration) *table {
	t := &table{seed: maphash.MakeSeed()}
	for i := range t.shards {
		s := &t.shards[i]
		s.length = int64(window / time.Second)
		s.turn(0)
	}
	return t
}

func (t *table) shard(hash uint64) *shard { return &t.shards[hash%shards] }

func (t *table) add(key string, start int64, amount int, kept int32) (waits bool) {
	hash := maphash.String(t.seed, key)
	return t.shard(hash).add(hash, key, start, amount, kept)
}

func (t *table) get(key string, current, previous int64) (now, before int) {
	hash := maphash.String(t.seed, key)
	return t.shard(hash).get(hash, current, previous)
}

func (t *table) settle(d delta) { t.shard(d.hash).settle(d) }
