package demopage

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// maxEvents is how many events of a phone are kept for browsers that connect later.
const maxEvents = 200

// event is a line of the page's traffic log.
type event struct {
	ID       int     `json:"id"`
	At       string  `json:"at"`
	Type     string  `json:"type"` // request, answer or note
	Exchange int     `json:"exchange,omitempty"`
	Kind     string  `json:"kind,omitempty"` // wx, http or wechat
	Label    string  `json:"label,omitempty"`
	Status   int     `json:"status,omitempty"`
	Took     int64   `json:"took,omitempty"` // since the request, in milliseconds
	Fields   []field `json:"fields,omitempty"`
	Note     string  `json:"note,omitempty"`
}

// eventLog keeps the latest events of a phone in order.
type eventLog struct {
	now func() time.Time

	mu      sync.Mutex
	events  []event
	lastID  int
	changed chan struct{} // closed and replaced by add
}

func newEventLog() *eventLog {
	return &eventLog{now: time.Now, changed: make(chan struct{})}
}

// add numbers an event, appends it and wakes waiting readers.
func (l *eventLog) add(e event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lastID++
	e.ID, e.At = l.lastID, l.now().Format("15:04:05.000")
	l.events = append(l.events, e)
	if len(l.events) > maxEvents {
		l.events = l.events[len(l.events)-maxEvents:]
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

// since returns the kept events with larger numbers, and a channel that is closed when there are more.
func (l *eventLog) since(id int) ([]event, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := len(l.events)
	for first > 0 && l.events[first-1].ID > id {
		first--
	}
	return append([]event(nil), l.events[first:]...), l.changed
}

// streamEvents sends the phone's events as server-sent events, beginning after the browser's Last-Event-ID.
func (p *Page) streamEvents(ph *phone, w http.ResponseWriter, r *http.Request) {
	last, err := strconv.Atoi(r.Header.Get("Last-Event-ID"))
	if err != nil {
		last = 0
	}
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	for {
		events, changed := ph.since(last)
		for _, e := range events {
			data, err := json.Marshal(e)
			if err != nil {
				return
			}
			fmt.Fprintf(w, "id: %d\ndata: %s\n\n", e.ID, data)
			last = e.ID
		}
		if control.Flush() != nil {
			return
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}
