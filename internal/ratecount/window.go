package ratecount

import "math"

// window is the counts of some keys in one window. A nil window counts nothing.
type window struct {
	start   int64 // in Unix seconds
	counts  map[uint64]count
	waiting []waiting // whose count is to be sent
}

// count is what is known of a key in a window.
type count struct {
	known   int32 // to have been counted, by all instances
	pending int32 // counted here, and not answered by Redis
	waits   bool  // is in window.waiting
	asked   bool  // the window before was asked for
}

type waiting struct {
	hash uint64
	key  string
}

func newWindow(start int64) window {
	return window{start: start, counts: make(map[uint64]count)}
}

// limited makes a number one that a count can hold.
func limited(n int64) int32 { return int32(max(0, min(n, math.MaxInt32))) }

// add counts, and tells whether the key is one more to be sent, as more than kept waits for it.
func (w *window) add(hash uint64, key string, amount int, kept int32) (waits bool) {
	c := w.counts[hash]
	c.pending = limited(int64(c.pending) + int64(limited(int64(amount))))
	waits = !c.waits && c.pending > kept
	if waits {
		w.waiting = append(w.waiting, waiting{hash, key})
		c.waits = true
	}
	w.counts[hash] = c
	return waits
}

func (w *window) sum(hash uint64) int {
	if w == nil {
		return 0
	}
	c := w.counts[hash]
	return int(limited(int64(c.known) + int64(c.pending)))
}

// take adds what waits to a batch, as far as there is room in it. With ask it asks for the window before, too, once for
// each key.
func (w *window) take(batch []delta, ask bool) []delta {
	rest := max(0, len(w.waiting)-(cap(batch)-len(batch)))
	for _, k := range w.waiting[rest:] {
		c := w.counts[k.hash]
		c.waits = false
		w.counts[k.hash] = c
		batch = append(batch, delta{hash: k.hash, key: k.key, start: w.start, amount: c.pending, ask: ask && !c.asked})
	}
	clear(w.waiting[rest:]) // of strings
	w.waiting = w.waiting[:rest]
	return batch
}

// settle takes up what was sent. The greater count is the right one: this instance may have counted what Redis does not have,
// and it may have lost what it had.
func (w *window) settle(d delta) {
	if w == nil {
		return
	}
	c := w.counts[d.hash]
	c.known = max(d.total, limited(int64(c.known)+int64(d.amount)))
	c.pending = max(0, c.pending-d.amount)
	c.asked = c.asked || d.ask && !d.failed
	w.counts[d.hash] = c
}

// learn takes up what all instances have counted for a key, as far as Redis told.
func (w *window) learn(hash uint64, total int32) {
	if w == nil || total == 0 {
		return
	}
	c := w.counts[hash]
	c.known = max(c.known, total)
	w.counts[hash] = c
}
