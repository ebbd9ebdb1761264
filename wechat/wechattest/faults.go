package wechattest

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Fault is the name of an injected fault, which makes one call fail: one of the constants, or the result of Slow or
// ErrCode.
type Fault string

// The faults. Only DroppedAfter spends the code.
const (
	Busy         Fault = "busy"         // errcode -1
	RateLimited  Fault = "ratelimited"  // errcode 45011
	Blocked      Fault = "blocked"      // errcode 40226
	Dropped      Fault = "dropped"      // the connection is closed without a response
	DroppedAfter Fault = "droppedafter" // the code is spent, then the connection is closed
	BadGateway   Fault = "badgateway"   // HTTP 502 with an HTML page
	BrokenJSON   Fault = "brokenjson"   // HTTP 200 with half a response
)

// Slow delays the call by d and then handles it. If the caller disconnects before, the code is not spent.
func Slow(d time.Duration) Fault { return Fault("slow:" + d.String()) }

// ErrCode makes the call return an errcode, known or not.
func ErrCode(n int) Fault { return Fault("errcode:" + strconv.Itoa(n)) }

var errFault = errors.New("no such fault")

// ParseFault returns the Fault with a name: a constant such as "busy", or "slow:1.5s" or "errcode:40164".
func ParseFault(name string) (Fault, error) {
	f, _, _ := parseFault(name)
	if f == "" {
		return "", errFault
	}
	return f, nil
}

// parseFault returns the Fault with a name, "" if there is none, and its delay and errcode, if it has one.
func parseFault(name string) (f Fault, delay time.Duration, errCode int) {
	switch f := Fault(name); f {
	case Dropped, DroppedAfter, BadGateway, BrokenJSON:
		return f, 0, 0
	case Busy:
		return f, 0, -1
	case RateLimited:
		return f, 0, 45011
	case Blocked:
		return f, 0, 40226
	}
	kind, value, _ := strings.Cut(name, ":")
	if d, err := time.ParseDuration(value); kind == "slow" && err == nil && d >= 0 {
		return Slow(d), d, 0
	}
	if n, err := strconv.Atoi(value); kind == "errcode" && err == nil && n != 0 {
		return ErrCode(n), 0, n
	}
	return "", 0, 0
}

// Fail queues faults for the next calls of jscode2session, one for each call, in order. It panics if ParseFault would
// return an error.
func (s *Simulator) Fail(faults ...Fault) { s.FailAPI(Logins, faults...) }

// FailAPI is Fail for the calls of any API.
func (s *Simulator) FailAPI(api API, faults ...Fault) {
	for _, f := range faults {
		if _, err := ParseFault(string(f)); err != nil {
			panic("wechattest: " + err.Error() + ": " + string(f))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[api] = append(s.faults[api], faults...)
}

// applyFault applies a fault and reports whether the response is complete. If the fault closes the connection, it
// panics with http.ErrAbortHandler. handle handles the call.
func (s *Simulator) applyFault(w http.ResponseWriter, f Fault, handle func()) (done bool) {
	switch f {
	case Dropped:
		closeConnection()
	case DroppedAfter:
		handle()
		closeConnection()
	case BadGateway:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		io.WriteString(w, "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>")
		return true
	case BrokenJSON:
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, `{"session_key":"`)
		return true
	}
	if _, _, errCode := parseFault(string(f)); errCode != 0 {
		s.sendError(w, errCode)
		return true
	}
	return false
}

// closeConnection makes net/http's server close the connection without a response, in HTTP/1.1 and HTTP/2.
func closeConnection() { panic(http.ErrAbortHandler) }

// sleep waits for d. It returns false if the caller disconnects first.
func sleep(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	select {
	case <-time.After(d):
		return true
	case <-r.Context().Done():
		return false
	}
}
