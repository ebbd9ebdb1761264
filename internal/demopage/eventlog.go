package demopage

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// maxEvents is how many events are kept for a browser that comes later.
const maxEvents = 200

// event is one line of the wire log.
type event struct {
	ID       int     `json:"id"`
	At       string  `json:"at"`
	Type     string  `json:"type"` // request, answer or note
	Exchange int     `json:"exchange,omitempty"`
	Kind     string  `json:"kind,omitempty"` // wx, http or wechat
	Label    string  `json:"label,omitempty"`
	Status   int     `json:"status,omitempty"`
	Took     int64   `json:"took,omitempty"` // milliseconds
	Fields   []field `json:"fields,omitempty"`
	Note     string  `json:"note,omitempty"`
}

// journal keeps the latest events of a phone in order.
type eventLog struct {
	now func() time.Time

	mu      sync.Mutex
	events  []event
	lastID  int
	changed chan struct{} // closed by the next add
}

func newEventLog() *eventLog {
	return &eventLog{now: time.Now, changed: make(chan struct{})}
}

// add numbers an event and tells those who wait.
func (j *eventLog) add(e event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lastID++
	e.ID, e.At = j.lastID, j.now().Format("15:04:05.000")
	j.events = append(j.events, e)
	if len(j.events) > maxEvents {
		j.events = j.events[len(j.events)-maxEvents:]
	}
	close(j.changed)
	j.changed = make(chan struct{})
}

// since returns the kept events after the one of that number, and what is closed when there are more.
func (j *eventLog) since(id int) ([]event, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	first := len(j.events)
	for first > 0 && j.events[first-1].ID > id {
		first--
	}
	return append([]event(nil), j.events[first:]...), j.changed
}

// streamEvents sends the phone's events as they come, after those that the browser has missed.
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
