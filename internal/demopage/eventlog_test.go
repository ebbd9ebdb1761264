package demopage

import (
	"sync"
	"testing"
)

func TestEventLog(t *testing.T) {
	t.Run("keeps the latest events", func(t *testing.T) {
		l := newEventLog()
		for range maxEvents + 50 {
			l.add(event{Type: "note"})
		}
		events, _ := l.since(0)
		if len(events) != maxEvents || events[0].ID != 51 || events[len(events)-1].ID != maxEvents+50 {
			t.Fatalf("%d events, from %d", len(events), events[0].ID)
		}
		if events, _ := l.since(maxEvents + 48); len(events) != 2 {
			t.Errorf("%d events after the last but two", len(events))
		}
		if events, _ := l.since(1 << 30); len(events) != 0 {
			t.Errorf("%d events after a future one", len(events))
		}
	})

	// A reader that waits if there is nothing new sees every event once and in order, even if several writers add them.
	t.Run("delivers every event to a waiting reader", func(t *testing.T) {
		const writers, each = 4, 50 // together no more than maxEvents
		l := newEventLog()
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				for range each {
					l.add(event{Type: "note"})
				}
			})
		}
		for last := 0; last < writers*each; {
			events, changed := l.since(last)
			for _, e := range events {
				if e.ID != last+1 {
					t.Fatalf("event %d follows %d", e.ID, last)
				}
				last = e.ID
			}
			if len(events) == 0 {
				<-changed
			}
		}
		wg.Wait()
	})
}
