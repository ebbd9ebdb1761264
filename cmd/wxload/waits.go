package main

import "time"

// maxWaits is how many waits are told from each other; earlier ones are joined.
const maxWaits = 256

// waits are the times that one phone lately spent waiting for the simulator: no fault of the server's, even where a later
// action had to wait for it.
type waits []wait

type wait struct{ from, to time.Time }

func (w *waits) add(from, to time.Time) {
	if n := len(*w); n == maxWaits {
		first := (*w)[0]
		*w = append((*w)[:0], (*w)[1:]...)
		(*w)[0].from = (*w)[0].from.Add(-first.to.Sub(first.from))
	}
	*w = append(*w, wait{from, to})
}

// since is how much was waited after a time. What ended before it is forgotten: times come in order.
func (w *waits) since(t time.Time) (sum time.Duration) {
	kept := (*w)[:0]
	for _, one := range *w {
		if !one.to.After(t) {
			continue
		}
		kept = append(kept, one)
		if one.from.Before(t) {
			one.from = t
		}
		sum += one.to.Sub(one.from)
	}
	*w = kept
	return sum
}
