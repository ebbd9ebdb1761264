package handlers

import (
	"net/http"
	"net/http/pprof"

	"github.com/go-chi/chi/v5"
)

// addProfiles serves Go's runtime profiles to go tool pprof: GET /debug/pprof/profile?seconds=10, heap, goroutine and so on.
// They show where the server spends its time and memory, not what is in it. A CPU profile must be shorter than the
// listener's time for an answer.
func addProfiles(r *chi.Mux, guard func(http.Handler) http.Handler) {
	r.Method(http.MethodGet, "/debug/pprof/profile", guard(http.HandlerFunc(pprof.Profile)))
	r.Method(http.MethodGet, "/debug/pprof/symbol", guard(http.HandlerFunc(pprof.Symbol)))
	r.Method(http.MethodGet, "/debug/pprof/{name}", guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pprof.Handler(chi.URLParam(r, "name")).ServeHTTP(w, r)
	})))
}
