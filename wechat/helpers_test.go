package wechat_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

const (
	testAppID    = "wx4f4bc4dec97d474b"
	testSecret   = "5ec4e75ec4e75ec4e75ec4e75ec4e75e"
	testCode     = "0c1a5b6d7e8f90a1b2c3d4e5f6a7b8c9"
	testKey      = "tiihtNczf5v6AKRyjwEUhQ=="
	goodResponse = `{"session_key":"tiihtNczf5v6AKRyjwEUhQ==","openid":"oGZUI0egBJY1zhBYw2KhdUfwVJJE"}`
)

// roundTrip is a transport without a network.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func response(status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status,
		ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"text/plain"}},
		Body:   io.NopCloser(strings.NewReader(body)),
	}
}

// cannedResponses is a transport that returns the bodies in turn, then the last one again, and counts the calls.
func cannedResponses(calls *int, bodies ...string) roundTrip {
	return func(*http.Request) (*http.Response, error) {
		n := min(*calls, len(bodies)-1)
		*calls++
		return response(http.StatusOK, bodies[n]), nil
	}
}

func newClient(t testing.TB, o wechat.Options) *wechat.Client {
	t.Helper()
	if o.AppID == "" {
		o.AppID = testAppID
	}
	if o.Secret == "" {
		o.Secret = testSecret
	}
	c, err := wechat.NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// startSimulator returns a listening simulator and a client for it.
func startSimulator(t testing.TB, o wechat.Options) (*wechattest.Simulator, *wechat.Client) {
	t.Helper()
	sim := wechattest.New(wechattest.Options{Apps: map[string]string{testAppID: testSecret}})
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	transport := wechat.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	o.BaseURL, o.Transport = server.URL, transport
	return sim, newClient(t, o)
}

// officialSamples holds the samples of WeChat's documentation.
type officialSamples struct {
	OpenData struct {
		AppID, SessionKey, EncryptedData, IV, Plaintext string
	}
	RawDataSignature struct {
		SessionKey, RawData, Signature string
	}
	SessionHMAC struct {
		SessionKey, Body, Signature string
	}
	VirtualPayment struct {
		SessionKey, Data, Signature string
	}
}

func loadOfficialSamples(t testing.TB) officialSamples {
	t.Helper()
	text, err := os.ReadFile("testdata/official.json")
	if err != nil {
		t.Fatal(err)
	}
	var o officialSamples
	if err := json.Unmarshal(text, &o); err != nil {
		t.Fatal(err)
	}
	return o
}
