package demopage

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"wxlogin/wechat/push"
	"wxlogin/wechat/wechattest"
)

// A message is sent again until it gets a 200, three times at most. Two equal events of one second are two messages.
func TestPage_WithdrawConsent(t *testing.T) {
	settings := PushSettings{Token: "AAAAA", EncodingAESKey: strings.Repeat("a", 42) + "A"}
	receiver, err := push.New(push.Options{AppID: wechattest.DemoAppID, Token: settings.Token, EncodingAESKey: settings.EncodingAESKey})
	if err != nil {
		t.Fatal(err)
	}
	responses := []int{503, 503, 200, 200, 503, 503, 503}
	var times []int64
	p := newTestPage(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		message, err := receiver.Read(r.URL.Query(), body)
		if err != nil {
			t.Error(err)
		}
		event, err := push.ParseEvent(message)
		if err != nil || event.Event != push.AuthorizationRevoked {
			t.Errorf("got %+v and %v", event, err)
		}
		times = append(times, event.CreatedAt.Unix())
		w.WriteHeader(responses[len(times)-1])
	}))
	p.Push = settings
	for _, want := range []int{204, 204, 500} {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "http://127.0.0.1/phones/ann/faults/withdraw?appid="+wechattest.DemoAppID, nil))
		if w.Code != want {
			t.Errorf("status %d, want %d", w.Code, want)
		}
	}
	if len(times) != len(responses) || len(slices.Compact(slices.Clone(times))) != 3 || !slices.IsSorted(times) {
		t.Errorf("messages of %v, want three of one second, one of a later one, and three of a still later one", times)
	}
}
