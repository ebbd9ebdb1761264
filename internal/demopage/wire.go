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
	maxBody   = 5 << 20 // bytes of a request: a picture of 4 MiB and its multipart frame
	maxPhones = 1000
)

// Wire records the traffic of each phone. Use NewWire to create one.
type Wire struct {
	mu           sync.Mutex
	phones       map[string]*phone
	codeOwners   map[[sha256.Size]byte]*phone // by SHA-256 of the code
	lastExchange int
}

// NewWire returns a Wire without phones.
func NewWire() *Wire {
	return &Wire{phones: map[string]*phone{}, codeOwners: map[[sha256.Size]byte]*phone{}}
}

// phone is one person's phone and its recorded traffic.
type phone struct {
	*eventLog
	*pseudonyms
	id string

	mu              sync.Mutex
	pendingRequests int  // in flight to wxlogin
	duplicateLogin  bool // send the next login twice
}

// phone returns the phone with this id, which it creates if necessary. It returns nil if there are too many.
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

// registerCode stores which phone a code belongs to.
func (w *Wire) registerCode(code string, ph *phone) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.codeOwners[sha256.Sum256([]byte(code))] = ph
}

// phonesFor returns the phones that a call from wxlogin to WeChat belongs to: the phone whose code it contains, or else
// every phone with a request in flight.
func (w *Wire) phonesFor(pairs []pair) []*phone {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range pairs {
		if ph := w.codeOwners[sha256.Sum256([]byte(p.value))]; ph != nil {
			return []*phone{ph}
		}
	}
	var pending []*phone
	for _, ph := range w.phones {
		if ph.hasRequests() {
			pending = append(pending, ph)
		}
	}
	return pending
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

// beginRequest and endRequest count requests in flight from the phone to wxlogin.
func (ph *phone) beginRequest() { ph.addRequests(1) }
func (ph *phone) endRequest()   { ph.addRequests(-1) }

func (ph *phone) addRequests(n int) {
	ph.mu.Lock()
	defer ph.mu.Unlock()
	ph.pendingRequests += n
}

// Watch returns a handler that records wxlogin's calls of WeChat, which next serves.
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

// exchange describes a request and its response.
type exchange struct {
	kind, label string
	secretKinds map[string]string // overrides of secretKinds, by field name
}

// record logs a request, serves it, and logs the response before it is sent, so that the log is in causal order.
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
	response := &bufferedResponse{header: http.Header{}}
	defer func() {
		if v := recover(); v != nil { // the simulator closes a connection by a panic
			note("answer", "connection closed", 0, nil, nil)
			panic(v)
		}
	}()
	r.Body = io.NopCloser(bytes.NewReader(body))
	next.ServeHTTP(response, r)
	status := cmp.Or(response.status, http.StatusOK)
	note("answer", fmt.Sprintf("%d %s", status, http.StatusText(status)), status,
		responsePairs(response.header, response.body.Bytes()), shownResponse[x.kind])
	response.sendTo(rw)
}

// readBody reads a request's body, up to maxBody.
func readBody(rw http.ResponseWriter, r *http.Request) ([]byte, error) {
	return io.ReadAll(http.MaxBytesReader(rw, r.Body, maxBody))
}

// bufferedResponse is an http.ResponseWriter that keeps the response in memory until it has been logged.
type bufferedResponse struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (b *bufferedResponse) Header() http.Header { return b.header }

func (b *bufferedResponse) WriteHeader(status int) {
	if b.status == 0 {
		b.status = status
	}
}

func (b *bufferedResponse) Write(p []byte) (int, error) { return b.body.Write(p) }

// sendTo sends the response to rw.
func (b *bufferedResponse) sendTo(rw http.ResponseWriter) {
	for name, values := range b.header {
		rw.Header()[name] = values
	}
	rw.Header().Set("Content-Length", strconv.Itoa(b.body.Len()))
	rw.WriteHeader(cmp.Or(b.status, http.StatusOK))
	rw.Write(b.body.Bytes())
}
