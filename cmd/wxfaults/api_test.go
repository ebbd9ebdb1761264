package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

func TestAPI_tells_how_far_a_request_came(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.FormValue("code") {
		case "cut":
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "half of it")
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		case "drop":
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("X-Request-Id", r.Header.Get("X-Request-Id"))
		w.Header().Set("Retry-After", "2")
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, "{}")
	}))
	defer server.Close()
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	l := newLedger()
	urls := map[string]string{"up": server.URL, "down": "http://" + nobody.Addr().String()}
	a := &api{client: server.Client(), ledger: l, urls: urls}
	for _, test := range []struct {
		server, code string
		want         outcome
	}{{"up", "x", answered}, {"up", "cut", cutAnswer}, {"up", "drop", unheard}, {"down", "x", refused}} {
		e := a.send(t.Context(), entry{server: test.server, route: onLogin}, url.Values{"code": {test.code}})
		if e.answer.outcome != test.want || (e.answer.status == 503) != (test.want == answered) || !e.due() {
			t.Errorf("%s: %v, %d", test.code, e.answer.outcome, e.answer.status)
		}
		if test.want == answered && (e.answer.requestID != e.requestID || e.answer.retryAfter != "2") {
			t.Error("the headers are missing")
		}
	}
	if len(l.entries) != 4 || l.quietSince() != l.entries[3].ended {
		t.Errorf("the ledger has %d entries", len(l.entries))
	}
}
