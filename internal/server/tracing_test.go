package server

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"wxlogin/internal/clientip"
	"wxlogin/internal/config"
	"wxlogin/internal/tracing"
	"wxlogin/wechat/wechattest"
)

// collector receives each span when it ends.
type collector chan tracetest.SpanStub

// ExportSpans implements sdk.SpanExporter.
func (c collector) ExportSpans(_ context.Context, spans []sdk.ReadOnlySpan) error {
	for _, s := range spans {
		c <- tracetest.SpanStubFromReadOnlySpan(s)
	}
	return nil
}

// Shutdown implements sdk.SpanExporter.
func (collector) Shutdown(context.Context) error { return nil }

// tracedServer is a server whose spans go to the test.
type tracedServer struct {
	*testServer
	ended   collector
	alice   *wechattest.Device
	secrets []string // of all requests so far
}

func newTracedServer(t *testing.T, change ...func(*config.Config, *Options)) *tracedServer {
	t.Helper()
	ended := make(collector, 1000)
	change = append(change, func(_ *config.Config, o *Options) { o.Tracing = tracing.New(ended) })
	w := newTestServer(t, change...)
	alice := w.wechat.Device(testAppID, wechattest.User{Name: "alice"})
	return &tracedServer{testServer: w, ended: ended, alice: alice, secrets: []string{testSecret}}
}

// login logs Alice in. headers are pairs of a name and a value.
func (tr *tracedServer) login(headers ...string) (token string) {
	tr.t.Helper()
	code := tr.alice.Login()
	var login struct{ Token string }
	if err := json.Unmarshal(tr.post("/onLogin", url.Values{"code": {code}}, headers...), &login); err != nil || login.Token == "" {
		tr.t.Fatalf("no token: %v", err)
	}
	token = login.Token
	tr.secrets = append(tr.secrets, code, token, tr.alice.SessionKey(), tr.alice.OpenID())
	return token
}

func (tr *tracedServer) post(path string, form url.Values, headers ...string) (body []byte) {
	tr.t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://"+tr.server.PublicAddr()+path, strings.NewReader(form.Encode()))
	if err != nil {
		tr.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		tr.t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err = io.ReadAll(res.Body); err != nil {
		tr.t.Fatal(err)
	}
	return body
}

// spans returns the spans of the next request, in the order of their start. The request's own span ends last.
func (tr *tracedServer) spans() (spans tracetest.SpanStubs) {
	tr.t.Helper()
	for len(spans) == 0 || spans[len(spans)-1].SpanKind != trace.SpanKindServer {
		select {
		case s := <-tr.ended:
			spans = append(spans, s)
		case <-time.After(testTimeout):
			tr.t.Fatalf("no request ends after %q", names(spans))
		}
	}
	slices.SortStableFunc(spans, func(a, b tracetest.SpanStub) int { return a.StartTime.Compare(b.StartTime) })
	return spans
}

func names(spans tracetest.SpanStubs) []string {
	var names []string
	for _, s := range spans {
		names = append(names, s.Name)
	}
	return names
}

func TestTracing_Login(t *testing.T) {
	tr := newTracedServer(t)
	tr.login() // creates the user's rows
	tr.spans()
	tr.login()
	spans := tr.spans()
	want := []string{"POST /onLogin", "GET /sns/jscode2session", "redis.pipeline set evalsha", "MySQL SELECT"}
	for i, name := range want {
		if i >= len(spans) || !strings.HasPrefix(spans[i].Name, name) {
			t.Fatalf("the spans are %q, want %q", names(spans), want)
		}
	}
	root := spans[0]
	for _, s := range spans {
		if s.SpanContext.TraceID() != root.SpanContext.TraceID() {
			t.Errorf("%s belongs to another trace", s.Name)
		}
		if s.Name != root.Name && s.Parent.SpanID() != root.SpanContext.SpanID() {
			t.Errorf("%s is not a child of the request", s.Name)
		}
		if s.StartTime.Before(root.StartTime) || s.EndTime.After(root.EndTime) {
			t.Errorf("%s is not within the request", s.Name)
		}
	}
}

// callAccessToken gets the access_token as another service, and reports it as refused.
func (tr *tracedServer) callAccessToken() {
	tr.t.Helper()
	for _, refused := range []string{"", tr.wechat.AccessTokens(testAppID)[0]} {
		method := http.MethodGet
		if refused != "" {
			method = http.MethodPost
		}
		form := url.Values{"refused": {refused}}.Encode()
		req, err := http.NewRequest(method, "http://"+tr.server.InternalAddr()+"/accessToken?"+form, strings.NewReader(form))
		if err != nil {
			tr.t.Fatal(err)
		}
		req.Header.Set("X-Api-Key", internalKey)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			tr.t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			tr.t.Errorf("%s: %d", method, res.StatusCode)
		}
	}
	tr.secrets = append(tr.secrets, internalKey)
	tr.secrets = append(tr.secrets, tr.wechat.AccessTokens(testAppID)...)
}

// internalKey is the key of the internal listener.
const internalKey = "a-key-that-is-shared"

// No span contains a value that a client, another service or WeChat sent.
func TestTracing_Secrets(t *testing.T) {
	tr := newTracedServer(t, func(c *config.Config, _ *Options) { c.InternalAPIKey, c.AccessTokenAPI = internalKey, true })
	token := tr.login()
	data := tr.alice.GetUserInfo()
	form := url.Values{"token": {token}, "encryptedData": {data.EncryptedData}, "iv": {data.IV}}
	tr.post("/updateUserInfo", form)
	tr.post("/bindPhone", url.Values{"token": {token}, "code": {tr.alice.PhoneCode()}})
	tr.secrets = append(tr.secrets, data.EncryptedData, data.IV, tr.alice.PhoneNumber())
	tr.callAccessToken()
	tr.wechat.Fail(wechattest.ErrCode(40029), wechattest.Dropped)
	for range 2 {
		code := tr.alice.Login()
		tr.secrets = append(tr.secrets, code)
		tr.post("/onLogin?code="+code, url.Values{"code": {code}})
	}
	tr.post("/logout", url.Values{"token": {token}})
	var all string
	for range 8 {
		all += strings.Join(texts(tr.spans()), "\n")
	}
	for i, secret := range tr.secrets {
		for _, spelling := range []string{secret, url.QueryEscape(secret)} {
			if strings.Contains(all, spelling) {
				t.Errorf("secret %d is in a trace", i)
			}
		}
	}
	if strings.Count(all, "jscode2session") < 3 || strings.Count(all, "stable_token") < 3 || !strings.Contains(all, "POST /accessToken") || !strings.Contains(all, "SELECT u.id") {
		t.Error("the trace has no span of WeChat or of MySQL")
	}
}

// No name, attribute or event contains an unknown path or method.
func TestTracing_RawPaths(t *testing.T) {
	const secret = "an-unguessable-part"
	tr := newTracedServer(t, func(c *config.Config, _ *Options) {
		c.Avatars = config.Avatars{Dir: t.TempDir(), PublicURL: "https://login.example.com"}
	})
	public, internal := "http://"+tr.server.PublicAddr(), "http://"+tr.server.InternalAddr()
	for _, test := range []struct{ method, url, name string }{
		{"GET", public + "/some-path/" + secret, "GET unmatched"},
		{"POST", public + "/onLogin/" + secret + "?code=" + secret, "POST unmatched"},
		{"GET", public + "/avatars/" + secret, "GET /avatars/{name}"},
		{"DELETE", public + "/avatars/" + secret, "DELETE unmatched"},
		{"POST", public + "/%61n-unguessable-part", "POST unmatched"},
		{"GET", internal + "/some-path/" + secret, "GET unmatched"},
		{"GET", internal + "/verify/" + secret + "?token=" + secret, "GET /verify/*"},
		{"MADEUP-" + secret, public + "/onLogin", "OTHER unmatched"},
	} {
		t.Run(test.name, func(t *testing.T) {
			req, err := http.NewRequest(test.method, test.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			spans := tr.spans()
			if got := spans[0].Name; got != test.name {
				t.Errorf("the span is %q, want %q", got, test.name)
			}
			for _, text := range texts(spans) {
				if strings.Contains(strings.ToLower(text), secret) || strings.Contains(text, "unguessable") {
					t.Errorf("a trace shows %q", text)
				}
			}
		})
	}
}

// texts returns all texts in spans.
func texts(spans tracetest.SpanStubs) (text []string) {
	for _, s := range spans {
		text = append(text, s.Name, s.Status.Description)
		for _, a := range s.Attributes {
			text = append(text, string(a.Key), a.Value.String())
		}
		for _, e := range s.Events {
			text = append(text, e.Name)
			for _, a := range e.Attributes {
				text = append(text, string(a.Key), a.Value.String())
			}
		}
	}
	return text
}

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// A client must not decide whether its request is sampled. A trusted proxy may.
func TestTracing_TrustedProxy(t *testing.T) {
	for name, test := range map[string]struct {
		proxies   []string
		continued bool
	}{
		"phone": {nil, false}, "proxy": {[]string{"127.0.0.1"}, true}, "another proxy": {[]string{"10.0.0.0/8"}, false},
		"proxy in a mapped network": {[]string{"::ffff:127.0.0.0/104"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			networks, err := clientip.ParseNetworks(test.proxies)
			if err != nil {
				t.Fatal(err)
			}
			tr := newTracedServer(t, func(c *config.Config, _ *Options) { c.TrustedProxies = networks })
			tr.login("traceparent", traceparent)
			root := tr.spans()[0]
			continued := root.SpanContext.TraceID().String() == "0af7651916cd43dd8448eb211c80319c"
			if continued != test.continued {
				t.Errorf("continues the caller's trace: %v, want %v", continued, test.continued)
			}
			if !continued && (len(root.Links) != 1 || root.Links[0].SpanContext.TraceID().String() != "0af7651916cd43dd8448eb211c80319c") {
				t.Error("the caller's trace is not linked")
			}
		})
	}
}

func TestTracing(t *testing.T) {
	// Background checks and scrapes must not create traces.
	t.Run("leaves out probes", func(t *testing.T) {
		tr := newTracedServer(t)
		for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
			tr.status(path)
		}
		tr.login()
		for _, s := range tr.spans() {
			if s.SpanKind != trace.SpanKindServer && !s.Parent.IsValid() {
				t.Errorf("%s does not belong to a request", s.Name)
			}
		}
	})

	t.Run("adds the trace id to the log", func(t *testing.T) {
		tr := newTracedServer(t)
		tr.login()
		if id := tr.spans()[0].SpanContext.TraceID().String(); !strings.Contains(tr.log.String(), `"traceId":"`+id+`"`) {
			t.Error("the log line of the request has no traceId")
		}
	})
}
