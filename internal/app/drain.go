package app

import (
	"context"
	"errors"
	"net/http"
)

// errStopping is what readiness says of a server that was told to stop.
var errStopping = errors.New("the server is being stopped")

// drain says whether the server was told to stop: its context ends then.
type drain struct {
	ctx   context.Context
	begin context.CancelFunc
}

func newDrain() drain {
	ctx, cancel := context.WithCancel(context.Background())
	return drain{ctx, cancel}
}

// check is a readiness check: it fails once the drain has begun.
func (d *drain) check(context.Context) error {
	if d.ctx.Err() != nil {
		return errStopping
	}
	return nil
}

// closing lets every answer end its connection once the drain has begun, so that clients come back on another one, to
// another server. Both listeners speak HTTP/1 only, where the header is all that it takes.
func (d *drain) closing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.ctx.Err() != nil {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}
