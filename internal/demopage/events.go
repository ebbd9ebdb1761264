package demopage

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxEvents is how many events of a phone are kept for browsers that connect later.
const maxEvents = 400

// event is a request or a response of the page's traffic log, or a note of a fault.
type event struct {
	ID       int             `json:"id"`
	At       string          `json:"at"`
	Type     string          `json:"type"` // request, answer or note
	Exchange int             `json:"exchange,omitempty"`
	Kind     string          `json:"kind,omitempty"` // wx, http, wechat or push
	Label    string          `json:"label,omitempty"`
	Status   int             `json:"status,omitempty"`
	Took     int64           `json:"took,omitempty"` // since the request, in milliseconds
	Lost     bool            `json:"lost,omitempty"` // the phone does not get this response
	Data     json.RawMessage `json:"data,omitempty"` // what was sent; pseudonyms in place of secrets
	Note     string          `json:"note,omitempty"`

	plain json.RawMessage // Data with its secrets
	curl  string          // a command that repeats the exchange; of responses
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
	secrets := showsSecrets(r)
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	for {
		events, changed := ph.since(last)
		for _, e := range events {
			if secrets {
				e.Data = e.plain
			}
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

func showsSecrets(r *http.Request) bool { return r.URL.Query().Get("secrets") == "show" }

// serveCurl serves a command that repeats an exchange. It holds its secrets, so the page passes it to the clipboard only.
func (p *Page) serveCurl(ph *phone, w http.ResponseWriter, r *http.Request) {
	events, _ := ph.since(0)
	for _, e := range events {
		if e.curl != "" && strconv.Itoa(e.Exchange) == r.PathValue("exchange") {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			fmt.Fprintln(w, e.curl)
			return
		}
	}
	http.NotFound(w, r)
}

// curl returns a command that repeats a request. If it succeeded with a code, the command gets another one first, because a
// code works only once.
func (w *Wire) curl(x exchange, r *http.Request, body []byte, succeeded bool) string {
	var before string
	parts := []string{"curl -s"}
	add := func(option, value string) { parts = append(parts, option+" "+shellQuote(value)) }
	if r.Method != http.MethodGet && len(body) == 0 {
		parts = append(parts, "-X "+r.Method)
	}
	parts = append(parts, shellQuote(x.base+r.URL.RequestURI()))
	if authorization := r.Header.Get("Authorization"); authorization != "" {
		add("-H", "Authorization: "+authorization)
	}
	switch contentType := r.Header.Get("Content-Type"); {
	case len(body) == 0:
	case strings.HasPrefix(contentType, "multipart/"):
		root, _, _ := strings.Cut(x.base, "/server")
		before = "curl -s " + shellQuote(root+"/face") + " | "
		parts = append(parts, "-F 'file=@-;filename=avatar.jpeg;type=image/jpeg'")
	default:
		add("-H", "Content-Type: "+contentType)
		add("--data-raw", string(body))
	}
	command := strings.Join(parts, " \\\n  ")
	if code, from := w.codeIn(requestText(r, body)); from.phone != nil && succeeded {
		before = "code=$(curl -s -X POST " + shellQuote(from.call) + " | grep -o '[0-9a-f]\\{32\\}')\n"
		command = strings.ReplaceAll(command, code, `'"$code"'`)
	}
	return before + command
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
