package demopage

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	maxBody   = 5 << 20 // of a request: a picture of 4 MiB and what surrounds it
	maxPhones = 1000
)

// Wire notes what crosses the wire, for each phone. The zero value is not usable: NewWire makes one.
type Wire struct {
	mu           sync.Mutex
	phones       map[string]*phone
	codeOwners   map[[sha256.Size]byte]*phone // of codes, by hash
	lastExchange int
}

// NewWire returns a Wire without phones.
func NewWire() *Wire {
	return &Wire{phones: map[string]*phone{}, codeOwners: map[[sha256.Size]byte]*phone{}}
}

// phone is what is noted of one person's phone.
type phone struct {
	*eventLog
	*pseudonyms
	id string

	mu              sync.Mutex
	pendingRequests int  // requests under way to wxlogin
	duplicateLogin  bool // the next login is sent twice
}

// phone returns the phone of that name, new where there is none; nil when there are too many.
func (w *Wire) phone(id string) *phone {
	w.mu.Lock()
	defer w.mu.Unlock()
	ph := w.phones[id]
	if ph == nil && len(w.phones) < maxPhones {
		ph = &phone{eventLog: newEventLog(), pseudonyms: newPseudonyms(), id: id}
		w.phones[id] = ph
	}
	return ph
}

// own remembers whose code that is.
func (w *Wire) registerCode(code string, ph *phone) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.codeOwners[sha256.Sum256([]byte(code))] = ph
}

// concerned are the phones for which wxlogin asks WeChat: the one whose code it sends, or else those that wait for an
// answer of wxlogin.
func (w *Wire) phonesFor(pairs []pair) []*phone {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range pairs {
		if ph := w.codeOwners[sha256.Sum256([]byte(p.value))]; ph != nil {
			return []*phone{ph}
		}
	}
	var waiting []*phone
	for _, ph := range w.phones {
		if ph.hasRequests() {
			waiting = append(waiting, ph)
		}
	}
	return waiting
}

func (w *Wire) nextExchangeID() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lastExchange++
	return w.lastExchange
}

func (ph *phone) hasRequests() bool {
	ph.mu.Lock()
	defer ph.mu.Unlock()
	return ph.pendingRequests > 0
}

// enter and leave frame a request of the phone to wxlogin.
func (ph *phone) beginRequest() { ph.addRequests(1) }
func (ph *phone) endRequest()   { ph.addRequests(-1) }

func (ph *phone) addRequests(n int) {
	ph.mu.Lock()
	defer ph.mu.Unlock()
	ph.pendingRequests += n
}

// Watch is next, and notes what passes: wxlogin's calls of WeChat.
func (w *Wire) Watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := readBody(rw, r)
		if err != nil {
			http.Error(rw, "unreadable body", http.StatusBadRequest)
			return
		}
		w.record(exchange{kind: kindWeChat, label: r.Method + " " + r.URL.Path}, w.phonesFor(requestPairs(r, body)), rw, r, body, next)
	})
}

// exchange is what a request and its answer are called.
type exchange struct {
	kind, label string
	secretKinds map[string]string // names of secrets, by field, where they are not those of the field
}

// record notes a request, has it answered, and notes the answer before anybody gets it: the log is in the order of
// things.
func (w *Wire) record(x exchange, phones []*phone, rw http.ResponseWriter, r *http.Request, body []byte, next http.Handler) {
	number, started := w.nextExchangeID(), time.Now()
	note := func(kind, label string, status int, pairs []pair, shown map[string]bool) {
		for _, ph := range phones {
			ph.add(event{
				Type: kind, Exchange: number, Kind: x.kind, Label: label, Status: status,
				Took: time.Since(started).Milliseconds(), Fields: ph.redact(pairs, shown, x.secretKinds),
			})
		}
	}
	note("request", x.label, 0, requestPairs(r, body), shownRequest[x.kind])
	answer := &bufferedResponse{header: http.Header{}}
	defer func() {
		if fault := recover(); fault != nil { // the simulator closes a connection so
			note("answer", "connection closed", 0, nil, nil)
			panic(fault)
		}
	}()
	r.Body = io.NopCloser(bytes.NewReader(body))
	next.ServeHTTP(answer, r)
	status := cmp.Or(answer.status, http.StatusOK)
	note("answer", fmt.Sprintf("%d %s", status, http.StatusText(status)), status,
		responsePairs(answer.header, answer.body.Bytes()), shownResponse[x.kind])
	answer.sendTo(rw)
}

// readBody reads a request's whole body.
func readBody(rw http.ResponseWriter, r *http.Request) ([]byte, error) {
	return io.ReadAll(http.MaxBytesReader(rw, r.Body, maxBody))
}

// held is an answer that is kept back until it is noted.
type bufferedResponse struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (h *bufferedResponse) Header() http.Header { return h.header }

func (h *bufferedResponse) WriteHeader(status int) {
	if h.status == 0 {
		h.status = status
	}
}

func (h *bufferedResponse) Write(b []byte) (int, error) { return h.body.Write(b) }

// release sends the answer.
func (h *bufferedResponse) sendTo(rw http.ResponseWriter) {
	for name, values := range h.header {
		rw.Header()[name] = values
	}
	rw.Header().Set("Content-Length", strconv.Itoa(h.body.Len()))
	rw.WriteHeader(cmp.Or(h.status, http.StatusOK))
	rw.Write(h.body.Bytes())
}
