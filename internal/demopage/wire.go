package demopage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
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
	codes        map[string]origin // by code
	lastExchange int
}

// origin is where a code comes from.
type origin struct {
	phone *phone
	call  string // path and query of the call that gives another one
}

// NewWire returns a Wire without phones.
func NewWire() *Wire {
	return &Wire{phones: map[string]*phone{}, codes: map[string]origin{}}
}

// phone returns the phone with this id, which it creates if necessary. It returns nil if there are too many.
func (w *Wire) phone(id string) *phone {
	w.mu.Lock()
	defer w.mu.Unlock()
	ph := w.phones[id]
	if ph == nil && len(w.phones) < maxPhones {
		ph = &phone{eventLog: newEventLog(), pseudonyms: newPseudonyms(), id: id, endOutage: func() {}}
		w.phones[id] = ph
	}
	return ph
}

// codeForm is what a code of the simulator looks like.
var codeForm = regexp.MustCompile(`[0-9a-f]{32}`)

// registerCodes stores where the codes in a response come from.
func (w *Wire) registerCodes(text string, from origin) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, code := range codeForm.FindAllString(text, -1) {
		w.codes[code] = from
	}
}

// codeIn returns the code of a phone that a message contains, and its origin.
func (w *Wire) codeIn(text string) (code string, from origin) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, code := range codeForm.FindAllString(text, -1) {
		if from := w.codes[code]; from.phone != nil {
			return code, from
		}
	}
	return "", origin{}
}

// phonesFor returns the phones that a call from wxlogin to WeChat belongs to: the phone whose code it contains. A call
// without any code, such as that for an access token, belongs to every phone with a request in flight.
func (w *Wire) phonesFor(r *http.Request, body []byte) []*phone {
	if _, from := w.codeIn(requestText(r, body)); from.phone != nil {
		return []*phone{from.phone}
	}
	if r.URL.Query().Get("js_code") != "" {
		return nil // not from a phone of the page
	}
	w.mu.Lock()
	defer w.mu.Unlock()
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

// Watch returns a handler that records wxlogin's calls of WeChat, which next serves unless WeChat is busy for the phone.
func (w *Wire) Watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := readBody(rw, r)
		if err != nil {
			http.Error(rw, "unreadable body", http.StatusBadRequest)
			return
		}
		phones, serve := w.phonesFor(r, body), next
		if r.URL.Query().Get("js_code") != "" && len(phones) == 1 && phones[0].takeBusy() {
			serve = http.HandlerFunc(sendBusy)
		}
		x := exchange{kind: kindWeChat, label: r.Method + " " + r.URL.Path, base: "http://" + r.Host}
		w.record(x, phones, rw, r, body, serve)
	})
}

// exchange describes a request and its response.
type exchange struct {
	kind, label string
	base        string            // URL that the path is appended to in commands
	secretKinds map[string]string // overrides of secretKinds, by field name
	lost        bool              // the phone does not get the response
	opened      []byte            // the JSON object that is encrypted in the request
	codesFrom   origin            // if the response contains codes
}

// record logs a request, serves it, and logs the response before it is sent, so that the log is in causal order. It
// returns the status.
func (w *Wire) record(x exchange, phones []*phone, rw http.ResponseWriter, r *http.Request, body []byte, next http.Handler) int {
	number, started, command := w.nextExchangeID(), time.Now(), ""
	copied := r.Clone(r.Context()) // next may change the request
	note := func(kind, label string, status int, text string, shown map[string]bool) {
		for _, ph := range phones {
			ph.add(event{
				Type: kind, Exchange: number, Kind: x.kind, Label: label, Status: status, Took: time.Since(started).Milliseconds(),
				Lost: x.lost, Data: ph.replacer(shown, x.secretKinds).rewrite(text), plain: json.RawMessage(text), curl: command,
			})
		}
	}
	note("request", x.label, 0, withOpened(requestText(r, body), x.opened), shownRequest[x.kind])
	response := httptest.NewRecorder()
	defer func() {
		if v := recover(); v != nil { // the simulator closes a connection by a panic
			note("answer", "connection closed", 0, "{}", nil)
			panic(v)
		}
	}()
	r.Body = io.NopCloser(bytes.NewReader(body))
	next.ServeHTTP(response, r)
	if x.codesFrom.phone != nil {
		w.registerCodes(response.Body.String(), x.codesFrom)
	}
	label := fmt.Sprintf("%d %s", response.Code, http.StatusText(response.Code))
	command = fmt.Sprintf("# %s: the response was %s\n%s", x.label, label, w.curl(x, copied, body, succeeded(response)))
	note("answer", label, response.Code, responseText(response.Header(), response.Body.Bytes()), shownResponse[x.kind])
	maps.Copy(rw.Header(), response.Header())
	rw.WriteHeader(response.Code)
	rw.Write(response.Body.Bytes())
	return response.Code
}

// readBody reads a request's body, up to maxBody.
func readBody(rw http.ResponseWriter, r *http.Request) ([]byte, error) {
	return io.ReadAll(http.MaxBytesReader(rw, r.Body, maxBody))
}

// succeeded reports whether a response is one of success. WeChat's errors have status 200 and an errcode.
func succeeded(response *httptest.ResponseRecorder) bool {
	var body struct{ ErrCode int }
	return response.Code == http.StatusOK && (json.Unmarshal(response.Body.Bytes(), &body) != nil || body.ErrCode == 0)
}
