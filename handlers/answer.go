package handlers

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
)

const (
	contentTypeJSON    = "application/json; charset=utf-8"
	contentTypeProblem = "application/problem+json; charset=utf-8"
)

// handle adapts a handler that returns its error.
func handle(h func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			writeFailure(w, r, classify(err))
		}
	}
}

// problemAnswer is the body of every error answer (RFC 9457), with the status that mini-program code tests.
type problemAnswer struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Code      code   `json:"code"`
	Action    action `json:"action"`
	RequestID string `json:"requestId"`
}

// writeFailure answers with the problem of f's code and leaves f to the access log.
func writeFailure(w http.ResponseWriter, r *http.Request, f failure) {
	p, ok := problems[f.code]
	if !ok {
		p = problems[codeInternal]
	}
	detail := f.detail
	if detail == "" {
		detail = p.detail
	}
	scope := scopeOf(r.Context())
	scope.failure = f
	scope.expected = errors.Is(f.cause, errStopping)
	if seconds := cmp.Or(f.retryAfter, p.retryAfter); seconds > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
	}
	if p.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	writeBody(w, p.status, contentTypeProblem, problemAnswer{
		Type: "urn:wxlogin:problem:" + string(f.code), Title: p.title, Status: p.status, Detail: detail,
		Code: f.code, Action: p.action, RequestID: scope.requestID,
	})
}

// writeJSON answers a request that succeeded or, for health checks, did not.
func writeJSON(w http.ResponseWriter, status int, body any) error {
	writeBody(w, status, contentTypeJSON, body)
	return nil
}

// writeBody writes a whole answer. Bodies are structs of this package, so that encoding cannot fail; a client that is
// gone cannot be told anything, so the error of Write has no reader.
func writeBody(w http.ResponseWriter, status int, contentType string, body any) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		panic("handlers: answer cannot be encoded: " + err.Error())
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(buf.Len()))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(buf.Bytes())
}
