package ratelimit

import "math"

// window has the counts of some keys in one window. A nil window is empty and takes nothing up.
type window struct {
	start  int64 // in Unix seconds
	counts map[uint64]count
	dirty  []dirtyKey // whose counts are to be sent
}

// count is what this process knows of a key in a window.
type count struct {
	known   int32 // events of all instances, as far as Redis has replied
	pending int32 // events counted here that Redis has not replied to
	dirty   bool  // is in window.dirty
	asked   bool  // the previous window was read from Redis
}

type dirtyKey struct {
	hash uint64
	key  string
}

func newWindow(start int64) window {
	return window{start: start, counts: make(map[uint64]count)}
}

// saturated converts a number to one that a count can hold.
func saturated(n int64) int32 { return int32(max(0, min(n, math.MaxInt32))) }

// add counts an event. It reports whether the key became dirty, because more events than budget are pending.
func (w *window) add(hash uint64, key []byte, budget int32) (dirty bool) {
	c := w.counts[hash]
	c.pending = saturated(int64(c.pending) + 1)
	dirty = !c.dirty && c.pending > budget
	if dirty {
		w.dirty = append(w.dirty, dirtyKey{hash, string(key)})
		c.dirty = true
	}
	w.counts[hash] = c
	return dirty
}

// count returns how many events of a key are known here, at most math.MaxInt32.
func (w *window) count(hash uint64) int {
	if w == nil {
		return 0
	}
	c := w.counts[hash]
	return int(saturated(int64(c.known) + int64(c.pending)))
}

// take appends dirty keys to a batch, as far as it has room. With ask, a key's first delta reads the previous window,
// too.
func (w *window) take(batch []delta, ask bool) []delta {
	rest := max(0, len(w.dirty)-(cap(batch)-len(batch)))
	for _, k := range w.dirty[rest:] {
		c := w.counts[k.hash]
		c.dirty = false
		w.counts[k.hash] = c
		batch = append(batch, delta{hash: k.hash, key: k.key, start: w.start, amount: c.pending, ask: ask && !c.asked})
	}
	clear(w.dirty[rest:]) // drops the strings
	w.dirty = w.dirty[:rest]
	return batch
}

// apply takes up a delta that was sent. The greater count is right: this instance may have counted what Redis does not
// have, and Redis may have lost what it had.
func (w *window) apply(d delta) {
	if w == nil {
		return
	}
	c := w.counts[d.hash]
	c.known = max(d.total, saturated(int64(c.known)+int64(d.amount)))
	c.pending = max(0, c.pending-d.amount)
	c.asked = c.asked || d.ask && !d.failed
	w.counts[d.hash] = c
}

// merge takes up what all instances have counted for a key; 0 if Redis did not say.
func (w *window) merge(hash uint64, total int32) {
	if w == nil || total == 0 {
		return
	}
	c := w.counts[hash]
	c.known = max(c.known, total)
	w.counts[hash] = c
}
