package server

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
)

// errStopping is what readiness says of a server that was told to stop.
var errStopping = errors.New("the server is being stopped")

// drain tells a server's handlers that it was told to stop. The zero value says no.
type drain struct{ begun atomic.Bool }

func (d *drain) begin() { d.begun.Store(true) }

// check is a readiness check: it fails once the drain has begun.
func (d *drain) check(context.Context) error {
	if d.begun.Load() {
		return errStopping
	}
	return nil
}

// closing lets every answer end its connection once the drain has begun, so that clients come back on another one, to
// another server. Both listeners speak HTTP/1 only, where the header is all that it takes.
func (d *drain) closing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.begun.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}
