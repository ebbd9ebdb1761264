package demopage

import (
	"net/http"
	"strings"
)

// forward sends a request of the phone on to wxlogin.
func (p *Page) forward(ph *phone, w http.ResponseWriter, r *http.Request) {
	body, err := readBody(w, r)
	if err != nil {
		http.Error(w, "the body is over 5 MiB, or was cut off", http.StatusRequestEntityTooLarge)
		return
	}
	ph.enter()
	defer ph.leave()
	path := strings.TrimPrefix(r.URL.Path, "/phones/"+ph.id+"/server")
	send := func(w http.ResponseWriter) {
		out := r.Clone(r.Context())
		out.URL.Path, out.URL.RawPath = path, ""
		p.Wire.record(exchange{kind: kindHTTP, label: r.Method + " " + path}, []*phone{ph}, w, out, body, p.proxy)
	}
	if r.Method == http.MethodPost && path == "/onLogin" && ph.takeTwice() {
		send(&held{header: http.Header{}}) // as by a proxy that repeats what it believes lost
	}
	send(w)
}
