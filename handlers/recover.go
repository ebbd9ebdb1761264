package handlers

import (
	"fmt"
	"net/http"
	"runtime/debug"
)

// recoverPanics turns a panic into one logged 500. http.ErrAbortHandler passes: it is how a handler drops a connection.
func recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if v == http.ErrAbortHandler {
				panic(v)
			}
			// The value of a panic may hold what the request held, so only its type is told; the stack says where.
			writeFailure(w, r, failure{code: codeInternal, cause: fmt.Errorf("panic (%T) at %s", v, debug.Stack())})
		}()
		next.ServeHTTP(w, r)
	})
}
