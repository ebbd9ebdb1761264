package wechattest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"wxlogin/wechat/push"
	"wxlogin/wechat/wechattest"
)

const pushToken = "pushToken1"

var pushKey = strings.Repeat("k", 42) + "A"

// pushedRequest is a request that a receiver got.
type pushedRequest struct {
	method, contentType string
	query               url.Values
	body                []byte
}

// newPushes returns a simulator that pushes the messages of appA in plain mode and those of appB in safe mode to a receiver,
// whose requests go into the channel, and which responds with 503 "later".
func newPushes(t *testing.T) (*wechattest.Simulator, *clock, <-chan pushedRequest) {
	t.Helper()
	got, c := make(chan pushedRequest, 1), newClock()
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- pushedRequest{r.Method, r.Header.Get("Content-Type"), r.URL.Query(), body}
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, "later")
	}))
	t.Cleanup(receiver.Close)
	return newSimulator(wechattest.Options{Now: c.Now, Pushes: map[string]wechattest.Push{
		appA: {URL: receiver.URL + "/a?x=1", Token: pushToken},
		appB: {URL: receiver.URL + "/b", Token: pushToken, EncodingAESKey: pushKey},
	}}), c, got
}

func TestDevice_Push(t *testing.T) {
	sim, c, requests := newPushes(t)
	for name, tt := range map[string]struct {
		appID, key, contentType string
		event                   wechattest.Event
		want                    push.Event
	}{
		"plain JSON": {appA, "", "application/json", wechattest.Event{Name: "user_info_modified", NoOpenID: true},
			push.Event{Event: "user_info_modified", CreatedAt: c.Now()}},
		"plain XML": {appA, "", "text/xml", wechattest.Event{Name: "user_authorization_revoke", RevokeInfo: "8", XML: true},
			push.Event{Event: "user_authorization_revoke", CreatedAt: c.Now(), Revoked: []int{8}}},
		"safe JSON": {appB, pushKey, "application/json", wechattest.Event{Name: "user_authorization_revoke", RevokeInfo: "6, 19"},
			push.Event{Event: "user_authorization_revoke", CreatedAt: c.Now(), Revoked: []int{6, 19}}},
		"safe XML": {appB, pushKey, "text/xml", wechattest.Event{Name: "<]]>&", CreatedAt: time.Unix(1626857200, 0), XML: true},
			push.Event{Event: "<]]>&", CreatedAt: time.Unix(1626857200, 0)}},
	} {
		t.Run(name, func(t *testing.T) {
			phone := sim.Device(tt.appID, wechattest.User{Name: "alice"})
			response, err := phone.Push(t.Context(), tt.event)
			if err != nil || response != (wechattest.PushResponse{Status: 503, Body: "later"}) {
				t.Fatalf("%+v, %v", response, err)
			}
			got := <-requests
			if got.method != http.MethodPost || got.contentType != tt.contentType || (got.query.Get("x") == "1") != (tt.appID == appA) {
				t.Errorf("%+v", got)
			}
			if tt.key != "" && (strings.Contains(string(got.body), phone.OpenID()) || got.query.Get("encrypt_type") != "aes") {
				t.Error("the message is not encrypted")
			}
			receiver, err := push.New(push.Options{AppID: tt.appID, Token: pushToken, EncodingAESKey: tt.key, Now: c.Now})
			if err != nil {
				t.Fatal(err)
			}
			message, err := receiver.Read(got.query, got.body)
			if err != nil || (message[0] == '<') != tt.event.XML {
				t.Fatalf("%s, %v", message, err)
			}
			event, err := push.ParseEvent(message)
			openID := phone.OpenID()
			if tt.event.NoOpenID {
				openID = ""
			}
			if err != nil || event.Event != tt.want.Event || event.AppID != tt.appID || event.OpenID != openID ||
				!event.CreatedAt.Equal(tt.want.CreatedAt) || !slices.Equal(event.Revoked, tt.want.Revoked) {
				t.Errorf("%+v, %v", event, err)
			}
		})
	}
}

func TestDevice_Push_Errors(t *testing.T) {
	if _, err := newSimulator(wechattest.Options{}).Device(appA, wechattest.User{Name: "alice"}).Push(t.Context(), wechattest.Event{Name: "e"}); err == nil {
		t.Error("no error without a URL for pushes")
	}
	sim := newSimulator(wechattest.Options{Pushes: map[string]wechattest.Push{appA: {URL: "http://127.0.0.1:1/push", Token: pushToken}}})
	_, err := sim.Device(appA, wechattest.User{Name: "alice"}).Push(t.Context(), wechattest.Event{Name: "e"})
	if err == nil || strings.Contains(err.Error(), "signature") {
		t.Errorf("a receiver that is down: %v", err)
	}
}

func TestPush_Validate(t *testing.T) {
	const good = "http://127.0.0.1:8080/wechatPush/wx1"
	for name, tt := range map[string]struct {
		push  wechattest.Push
		valid bool
	}{
		"plain mode":      {wechattest.Push{URL: good, Token: pushToken}, true},
		"safe mode":       {wechattest.Push{URL: good, Token: pushToken, EncodingAESKey: pushKey}, true},
		"no URL":          {wechattest.Push{Token: pushToken}, false},
		"no scheme":       {wechattest.Push{URL: "127.0.0.1:8080", Token: pushToken}, false},
		"another scheme":  {wechattest.Push{URL: "ftp://127.0.0.1", Token: pushToken}, false},
		"no Token":        {wechattest.Push{URL: good}, false},
		"a short key":     {wechattest.Push{URL: good, Token: pushToken, EncodingAESKey: pushKey[1:]}, false},
		"a key with an =": {wechattest.Push{URL: good, Token: pushToken, EncodingAESKey: pushKey + "="}, false},
	} {
		err := tt.push.Validate()
		if (err == nil) != tt.valid || err != nil && strings.Contains(err.Error(), pushToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestControl_Event(t *testing.T) {
	sim, _, requests := newPushes(t)
	for form, want := range map[string]string{
		"user=bob&event=user_info_modified":                                          `"Event":"user_info_modified"`,
		"user=bob&event=user_authorization_revoke&revoke=6,8&format=json":            `"RevokeInfo":"6,8"`,
		"user=bob&event=user_authorization_revoke&revoke=8&format=xml&appid=" + appA: `<RevokeInfo><![CDATA[8]]></RevokeInfo>`,
		"user=bob&event=x&createtime=1626857200":                                     `"CreateTime":1626857200`,
	} {
		values, err := url.ParseQuery(form)
		if err != nil {
			t.Fatal(err)
		}
		var response wechattest.PushResponse
		decode(t, sim, "/sim/event", values, &response)
		if response != (wechattest.PushResponse{Status: 503, Body: "later"}) {
			t.Errorf("%s: %+v", form, response)
		}
		openID := sim.Device(appA, wechattest.User{Name: "bob"}).OpenID()
		if got := string((<-requests).body); !strings.Contains(got, want) || !strings.Contains(got, openID) {
			t.Errorf("%s: %s", form, got)
		}
	}
	for form, want := range map[string]string{
		"event=x":                          "user",
		"user=bob":                         "event",
		"user=bob&event=x&format=yaml":     "format",
		"user=bob&event=x&createtime=soon": "createtime",
		"user=bob&event=x&createtime=-1":   "createtime",
		"user=bob&event=x&revoke=" + strings.Repeat("8", 65): "revoke",
		"user=bob&event=x&appid=wxother":                     "appid",
	} {
		values, err := url.ParseQuery(form)
		if err != nil {
			t.Fatal(err)
		}
		status, body := post(t, sim, "/sim/event", values)
		if status != http.StatusBadRequest || !strings.Contains(body, want) || !json.Valid([]byte(body)) {
			t.Errorf("%s: %d %s", form, status, body)
		}
	}
	if status, body := post(t, newSimulator(wechattest.Options{}), "/sim/event?user=bob&event=x", nil); status != http.StatusBadRequest ||
		!strings.Contains(body, "no URL for pushes") {
		t.Errorf("without a URL: %d %s", status, body)
	}
}
