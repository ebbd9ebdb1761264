package demopage

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

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
