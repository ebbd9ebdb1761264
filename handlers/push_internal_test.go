package handlers

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// forwardTo sends a message to a receiver, and returns the response.
func forwardTo(t *testing.T, timeout time.Duration, receiver http.HandlerFunc) (res *http.Response, body, outcome string) {
	t.Helper()
	server := httptest.NewServer(receiver)
	t.Cleanup(server.Close)
	p := newPushes(PublicOptions{PushForward: server.URL, Metrics: NewMetrics(), StorageTimeout: time.Second})
	p.timeout = timeout
	rec := httptest.NewRecorder()
	outcome, err := p.forward(rec, httptest.NewRequest(http.MethodPost, "/wechatPush/wx1", nil), "wx1", []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	res = rec.Result()
	content, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(content), outcome
}

func TestPushes_Forward(t *testing.T) {
	t.Run("a receiver that does not respond", func(t *testing.T) {
		res, body, outcome := forwardTo(t, time.Millisecond, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.ReadAll(r.Body) // after that, the server notices that the client is gone
			<-r.Context().Done()
		})
		if res.StatusCode != http.StatusGatewayTimeout || body != "" || outcome != pushFailed {
			t.Errorf("%d %q, %s", res.StatusCode, body, outcome)
		}
	})
	t.Run("a receiver that stops in its response", func(t *testing.T) {
		res, body, outcome := forwardTo(t, time.Minute, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "succ")
		})
		if res.StatusCode != http.StatusBadGateway || body != "" || outcome != pushFailed {
			t.Errorf("%d %q, %s", res.StatusCode, body, outcome)
		}
	})
	t.Run("a response that is too large", func(t *testing.T) {
		res, body, outcome := forwardTo(t, time.Minute, func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, strings.Repeat("x", maxForwarded+1))
		})
		if res.StatusCode != http.StatusBadGateway || body != "" || outcome != pushFailed {
			t.Errorf("%d, %d bytes, %s", res.StatusCode, len(body), outcome)
		}
	})
	t.Run("passes an error and a redirection back", func(t *testing.T) {
		for _, status := range []int{http.StatusInternalServerError, http.StatusFound} {
			res, body, outcome := forwardTo(t, time.Minute, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(status)
				io.WriteString(w, "later")
			})
			if res.StatusCode != status || body != "later" || outcome != pushForwarded {
				t.Errorf("%d %q, %s", res.StatusCode, body, outcome)
			}
		}
	})
}
