package probe

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestGet(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			http.Error(w, "mysql: failed", http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	addr := strings.TrimPrefix(server.URL, "http://")
	if err := Get(t.Context(), addr, "/readyz"); err != nil {
		t.Errorf("a healthy server: %v", err)
	}
	if err := Get(t.Context(), addr, "/other"); err == nil || err.Error() != "HTTP status 503: mysql: failed" {
		t.Errorf("an unhealthy server: %v", err)
	}
	if err := Get(t.Context(), "127.0.0.1:1", "/readyz"); err == nil {
		t.Error("no error without a server")
	}
	if err := Get(t.Context(), "9090", "/readyz"); err == nil {
		t.Error("no error for an address without a port")
	}
}

func TestLocalAddr(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:9090": "127.0.0.1:9090", ":9090": "127.0.0.1:9090", "0.0.0.0:9090": "127.0.0.1:9090",
		"[::]:9090": "127.0.0.1:9090", "10.0.0.7:9090": "10.0.0.7:9090", "localhost:9090": "localhost:9090",
	} {
		if got, err := localAddr(addr); got != want || err != nil {
			t.Errorf("%s: %s (%v), want %s", addr, got, err, want)
		}
	}
}
