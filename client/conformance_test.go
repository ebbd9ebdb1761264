package client_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"wxlogin/client"
	"wxlogin/internal/testenv/servicetest"
)

// A service with Middleware passes the list that the service of examples/gateway passes, with and without a cache.
func TestMiddleware_Conformance(t *testing.T) {
	for name, ttl := range map[string]time.Duration{"without a cache": 0, "with a cache": time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // they wait for a server that does not answer
			servicetest.Run(t, func(t *testing.T, internalURL, key string) string {
				login := newClient(t, client.Options{BaseURL: internalURL, APIKey: key, CacheTTL: ttl})
				service := httptest.NewServer(login.Middleware(http.HandlerFunc(me)))
				t.Cleanup(service.Close)
				return service.URL
			})
		})
	}
}

// me answers who the request is from.
func me(w http.ResponseWriter, r *http.Request) {
	token, _ := client.FromContext(r.Context())
	w.Header().Set("Cache-Control", "no-store")
	json.NewEncoder(w).Encode(servicetest.Identity{
		UserID: strconv.FormatUint(token.UserID, 10), OpenID: token.OpenID, AppID: token.AppID, UnionID: token.UnionID,
	})
}

// newClient returns a Client whose connections close at the end of the test.
func newClient(t *testing.T, o client.Options) *client.Client {
	t.Helper()
	if o.HTTPClient == nil {
		transport := &http.Transport{}
		t.Cleanup(transport.CloseIdleConnections)
		o.HTTPClient = &http.Client{Transport: transport}
	}
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
