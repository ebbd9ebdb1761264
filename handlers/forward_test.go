package handlers_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"wxlogin/internal/testenv"
	"wxlogin/wechat/push"
	"wxlogin/wechat/wechattest"
)

// forwarded is a request that the receiver of WECHAT_PUSH_FORWARD got.
type forwarded struct {
	method, path, appID, contentType string
	signed                           bool
	body                             []byte
}

// newForwardServer returns a server that forwards to a receiver, whose requests go into the channel, and which responds with
// 201 and a text.
func newForwardServer(t *testing.T, mode push.Options) (*testServer, <-chan forwarded) {
	t.Helper()
	got := make(chan forwarded, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		q := r.URL.Query()
		signature := wechattest.SignPush(pushToken, q.Get("timestamp"), q.Get("nonce"))
		got <- forwarded{r.Method, r.URL.Path, r.Header.Get("X-Wechat-Appid"), r.Header.Get("Content-Type"), q.Get("signature") == signature, body}
		w.Header().Set("Content-Type", "text/xml; charset=utf-8")
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, "<xml>reply</xml>")
	}))
	t.Cleanup(receiver.Close)
	return newTestServer(t, withPush(mode), func(cfg *serverConfig) { cfg.pushForward = receiver.URL + "/from/wechat" }), got
}

func TestWechatPush_Forward(t *testing.T) {
	for mode, options := range pushModes {
		t.Run(mode, func(t *testing.T) {
			srv, requests := newForwardServer(t, options)
			p := srv.device("alice")
			srv.fill(p)
			message := []byte(`{"MsgType":"text","Content":"hello","AppId":"wx0000000000000000"}`)
			for range 2 { // a repeated message is forwarded again
				response, err := srv.pusher(options).PushMessage(t.Context(), appID, message)
				srv.must(err)
				if response != (wechattest.PushResponse{Status: http.StatusCreated, Body: "<xml>reply</xml>"}) {
					t.Errorf("WeChat gets %d %s", response.Status, response.Body)
				}
				got := <-requests
				if got.method != http.MethodPost || got.path != "/from/wechat" || got.appID != appID || got.contentType != "application/json" || !got.signed {
					t.Errorf("the receiver gets %+v", got)
				}
				var envelope struct{ Encrypt string }
				if err := json.Unmarshal(got.body, &envelope); err != nil || (envelope.Encrypt != "") != (options.EncodingAESKey != "") {
					t.Errorf("the body is %s", got.body)
				}
				if options.EncodingAESKey == "" && string(got.body) != string(message) {
					t.Errorf("the body is %s", got.body)
				}
			}
			srv.wantPushes("other", "forwarded", "2")

			srv.wantSuccess(srv.pushEvent(options, p, wechattest.Event{Name: push.UserInfoModified}))
			srv.wantSuccess(srv.pushEvent(options, p, wechattest.Event{Name: push.AuthorizationRevoked, RevokeInfo: "14"}))
			srv.wantSuccess(srv.pushEvent(options, p, wechattest.Event{Name: push.AuthorizationCancelled, NoOpenID: true}))
			srv.wantPushProblem(srv.pushEvent(push.Options{Token: "another", EncodingAESKey: options.EncodingAESKey}, p,
				wechattest.Event{Name: "subscribe_msg_popup_event"}), 403, "forbidden")
			if len(requests) != 0 {
				t.Error("an event of personal data, or one that is not WeChat's, was forwarded")
			}
			if got := srv.left(p); got != "phone" {
				t.Errorf("%q is left", got)
			}
		})
	}
}

// If the receiver fails, WeChat repeats the message. The log has nothing of it.
func TestWechatPush_ForwardFails(t *testing.T) {
	down := "http://" + testenv.FreeAddr(t) + "/push"
	srv := newTestServer(t, withPush(plainMode), func(cfg *serverConfig) { cfg.pushForward = down })
	p := srv.device("alice")
	response := srv.pushEvent(plainMode, p, wechattest.Event{Name: "subscribe_msg_popup_event"})
	if response != (wechattest.PushResponse{Status: http.StatusBadGateway}) {
		t.Errorf("WeChat gets %d %s", response.Status, response.Body)
	}
	srv.wantPushes("other", "failed", "1")
	logs := srv.logs.String()
	if !strings.Contains(logs, "WECHAT_PUSH_FORWARD failed") || strings.Contains(logs, "signature=") || strings.Contains(logs, p.OpenID()) {
		t.Errorf("log: %s", logs)
	}
}
