package wechat_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"wxlogin/wechat"
)

func TestError_Error(t *testing.T) {
	const rid = ", rid: 652d44d0-1d0af18b-5b069232"
	tests := []struct {
		errCode int
		kind    wechat.Kind
		name    string
		want    string
	}{
		{-1, wechat.KindUnavailable, "unavailable", "WeChat is busy"},
		{40029, wechat.KindInvalidCode, "invalid_code", "invalid code"},
		{40163, wechat.KindInvalidCode, "invalid_code", "code already used"},
		{40226, wechat.KindBlocked, "blocked", "user blocked by WeChat"},
		{45011, wechat.KindRateLimited, "rate_limited", "too many calls this minute"},
		{40013, wechat.KindMisconfigured, "misconfigured", "invalid appid"},
		{40125, wechat.KindMisconfigured, "misconfigured", "invalid appsecret"},
		{40164, wechat.KindMisconfigured, "misconfigured", "this server's IP address is not on the mini-program's whitelist"},
		{40243, wechat.KindMisconfigured, "misconfigured", "appsecret frozen"},
		{40002, wechat.KindMisconfigured, "misconfigured", "invalid grant_type"},
		{41002, wechat.KindMisconfigured, "misconfigured", "appid missing"},
		{41004, wechat.KindMisconfigured, "misconfigured", "appsecret missing"},
		{41008, wechat.KindMisconfigured, "misconfigured", "code missing"},
		{41030, wechat.KindMisconfigured, "misconfigured", "a parameter is missing"},
		{48001, wechat.KindMisconfigured, "misconfigured", "the mini-program may not use this API"},
		{99999, wechat.KindMisconfigured, "misconfigured", "unknown errcode"},
	}
	for _, test := range tests {
		t.Run(strconv.Itoa(test.errCode), func(t *testing.T) {
			var calls int
			body := fmt.Sprintf(`{"errcode":%d,"errmsg":"echo of %s%s"}`, test.errCode, testCode, rid)
			client := newClient(t, wechat.Options{Transport: cannedResponses(&calls, body), Timeout: 10 * time.Millisecond})
			_, err := client.Code2Session(t.Context(), testCode)
			e, ok := errors.AsType[*wechat.Error](err)
			if !ok {
				t.Fatalf("%T is not an *Error", err)
			}
			if e.Kind != test.kind || wechat.KindOf(fmt.Errorf("wrapped: %w", err)) != test.kind || e.Kind.String() != test.name {
				t.Errorf("kind %s", e.Kind)
			}
			if e.API != "jscode2session" || e.ErrCode != test.errCode || e.RID != "652d44d0-1d0af18b-5b069232" || e.Status != 200 {
				t.Errorf("got %+v", e)
			}
			want := fmt.Sprintf("wechat: jscode2session: %s (errcode %d, rid 652d44d0-1d0af18b-5b069232)", test.want, test.errCode)
			if err.Error() != want {
				t.Errorf("got %q, want %q", err, want)
			}
			if e.IsTransport() {
				t.Error("an errcode is reported as a transport error")
			}
		})
	}
}

func TestError_RID(t *testing.T) {
	tests := map[string]string{
		"invalid code, rid: 652d44d0-1d0af18b-5b069232":         "652d44d0-1d0af18b-5b069232",
		"invalid code hint: [x] rid:652d44d0-1d0af18b-5b069232": "652d44d0-1d0af18b-5b069232",
		"invalid code, rid: \t 652d44d0-1d0af18b-5b069232 ":     "652d44d0-1d0af18b-5b069232",
		"invalid code":                            "",
		"rid: " + testSecret:                      "",
		"rid: " + testCode:                        "",
		"rid: 652d44d0-1d0af18b":                  "",
		"rid: 652d44d0-1d0af18b-5b0692325ec4e75e": "",
	}
	for msg, want := range tests {
		var calls int
		client := newClient(t, wechat.Options{Transport: cannedResponses(&calls, fmt.Sprintf(`{"errcode":40029,"errmsg":%q}`, msg))})
		_, err := client.Code2Session(t.Context(), testCode)
		if e, ok := errors.AsType[*wechat.Error](err); !ok || e.RID != want {
			t.Errorf("%q: got %+v, want rid %q", msg, err, want)
		}
	}
}

func TestKindOf(t *testing.T) {
	if k := wechat.KindOf(nil); k != wechat.KindUnknown || k.String() != "unknown" {
		t.Errorf("nil is %s", k)
	}
	if k := wechat.KindOf(io.EOF); k != wechat.KindUnavailable {
		t.Errorf("another error is %s", k)
	}
}

// failingTransports returns transports for every kind of failure: errors that contain the URL, like those of net/http,
// and responses that repeat the request.
func failingTransports(t *testing.T) map[string]func(*http.Request) (*http.Response, error) {
	fails := map[string]func(*http.Request) (*http.Response, error){}
	for name, err := range map[string]error{
		"refused":     &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED},
		"dns":         &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: testSecret}},
		"certificate": &tls.CertificateVerificationError{Err: errors.New(testSecret)},
		"reset":       &net.OpError{Op: "read", Err: syscall.ECONNRESET},
		"eof":         io.EOF,
		"timeout":     &net.DNSError{IsTimeout: true, Name: testSecret},
		"proxy":       &net.OpError{Op: "proxyconnect", Err: errors.New(testSecret)},
		"cancelled":   context.Canceled,
		"deadline":    context.DeadlineExceeded,
	} {
		fails["transport_"+name] = func(r *http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("echo %s: %w", r.URL, &url.Error{Op: "Get", URL: r.URL.String(), Err: err})
		}
	}
	for _, errCode := range []int{-1, 40002, 40013, 40029, 40125, 40163, 40164, 40226, 40243, 41002, 41004, 41008, 45011, 48001, 99999} {
		fails["errcode_"+strconv.Itoa(errCode)] = func(r *http.Request) (*http.Response, error) {
			return response(200, fmt.Sprintf(`{"errcode":%d,"errmsg":%q}`, errCode, "echo "+r.URL.String()+" rid: "+testSecret)), nil
		}
	}
	for name, body := range map[string]string{
		"empty": "", "html": "<html>%s</html>", "echo": "%s", "text": `{"errcode":"%s"}`, "msg": `{"errmsg":"%s"}`,
		"openid": `{"openid":"%s","session_key":"x"}`, "key": `{"openid":"o1","session_key":"%s"}`,
	} {
		for _, status := range []int{200, 302, 500, 502} {
			fails[fmt.Sprintf("response %s %d", name, status)] = func(r *http.Request) (*http.Response, error) {
				resp := response(status, strings.ReplaceAll(body, "%s", r.URL.String()))
				resp.Header.Set("Location", r.URL.String())
				return resp, nil
			}
		}
	}
	return fails
}

func TestError_NoSecret(t *testing.T) {
	t.Run("with simulated transports", func(t *testing.T) {
		const host = "wechat.example.com"
		for name, fail := range failingTransports(t) {
			t.Run(name, func(t *testing.T) {
				var errs []error
				client := newClient(t, wechat.Options{
					BaseURL: "https://" + host, Transport: roundTrip(fail), Timeout: 20 * time.Millisecond,
					OnCall: func(c wechat.Call) { errs = append(errs, c.Err) },
				})
				_, err := client.Code2Session(t.Context(), testCode)
				if len(errs) == 0 {
					t.Fatal("OnCall was not called")
				}
				for _, err := range append(errs, err) {
					if err == nil {
						t.Fatal("no error")
					}
					assertClean(t, err, testSecret, testCode, testKey, host, "https", "jscode2session?")
				}
			})
		}
	})

	// The same with real connections and net/http's own errors.
	t.Run("with real connections", func(t *testing.T) {
		tlsServer := httptest.NewUnstartedServer(http.NotFoundHandler())
		tlsServer.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		tlsServer.StartTLS() // with a certificate that is not trusted
		defer tlsServer.Close()
		garbage := startGarbageServer(t)
		closed, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		closed.Close()
		tests := map[string]struct {
			baseURL string
			want    string
		}{
			"untrusted certificate": {tlsServer.URL, "certificate cannot be verified"},
			"tls to a plain port":   {"https://" + garbage, ""},
			"not http":              {"http://" + garbage, "connection lost, or the response is not HTTP"},
			"nothing listens":       {"http://" + closed.Addr().String(), "no connection: connection refused"},
		}
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				transport := wechat.NewTransport()
				defer transport.CloseIdleConnections()
				client := newClient(t, wechat.Options{BaseURL: test.baseURL, Transport: transport})
				_, err := client.Code2Session(t.Context(), testCode)
				assertClean(t, err, testSecret, testCode, "127.0.0.1", "http:", "https:")
				e, ok := errors.AsType[*wechat.Error](err)
				if !ok || !e.IsTransport() || !strings.Contains(err.Error(), test.want) {
					t.Errorf("got %v, want %q", err, test.want)
				}
			})
		}
	})
}

// startGarbageServer starts a server that repeats each request instead of a response.
func startGarbageServer(t *testing.T) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 4096)
			n, _ := conn.Read(buf)
			conn.Write(append(buf[:n], "\r\n\r\n"...))
			conn.Close()
		}
	}()
	return listener.Addr().String()
}

// assertClean fails if an error, an error that it wraps, or any way to print it contains a secret.
func assertClean(t *testing.T, err error, secrets ...string) {
	t.Helper()
	if _, ok := errors.AsType[*url.Error](err); ok {
		t.Error("the error wraps a *url.Error")
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Error("failed", "err", err)
	texts := []string{log.String()}
	for _, e := range unwrapAll(err) {
		texts = append(texts, e.Error(), fmt.Sprintf("%v %+v %#v %s %q", e, e, e, e, e))
	}
	for _, text := range texts {
		for _, secret := range secrets {
			if strings.Contains(text, secret) || strings.Contains(text, url.QueryEscape(secret)) {
				t.Errorf("an error holds what it must not")
			}
		}
	}
}

func unwrapAll(err error) []error {
	all := []error{err}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			all = append(all, unwrapAll(inner)...)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			all = append(all, unwrapAll(inner)...)
		}
	}
	return all
}

func TestError_Unwrap(t *testing.T) {
	hang := roundTrip(func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, &url.Error{Op: "Get", URL: r.URL.String(), Err: context.Cause(r.Context())}
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("because of " + testSecret))
		_, err := newClient(t, wechat.Options{Transport: hang}).Code2Session(ctx, testCode)
		e, ok := errors.AsType[*wechat.Error](err)
		if !ok || !errors.Is(err, context.Canceled) || e.IsTransport() {
			t.Errorf("got %v", err)
		}
		assertClean(t, err, testSecret, testCode)
	})
	t.Run("timed out", func(t *testing.T) {
		_, err := newClient(t, wechat.Options{Transport: hang, Timeout: time.Millisecond}).Code2Session(t.Context(), testCode)
		e, ok := errors.AsType[*wechat.Error](err)
		if !ok || !errors.Is(err, context.DeadlineExceeded) || !e.IsTransport() {
			t.Errorf("got %v", err)
		}
	})
}

// If the response to a code is JSON but lacks a required field, the code is spent, unlike after an unreadable response.
// The error names the missing fields.
func TestError_UnusableResponse(t *testing.T) {
	session := func(c *wechat.Client) error { _, err := c.Code2Session(t.Context(), testCode); return err }
	number := func(c *wechat.Client) error {
		_, err := c.PhoneNumber(t.Context(), testToken, testOpenID, testCode)
		return err
	}
	token := func(c *wechat.Client) error { _, _, err := c.StableToken(t.Context(), false); return err }
	const jscode, phone = "wechat: jscode2session: ", "wechat: getuserphonenumber: "
	for name, test := range map[string]struct {
		call func(*wechat.Client) error
		body string
		kind wechat.Kind
		want string
	}{
		"a session without an openid": {session, `{"session_key":"tiihtNczf5v6AKRyjwEUhQ=="}`, wechat.KindUnusable,
			jscode + "unusable response: no usable openid"},
		"a session with a number for text": {session, `{"openid":1}`, wechat.KindUnusable,
			jscode + "unusable response: no usable openid, session_key"},
		"a session with a broken key": {session, `{"openid":"o1","session_key":"` + testSecret + `"}`, wechat.KindUnusable,
			jscode + "unusable response: no usable session_key"},
		"a number without a country code": {number, phoneResponse(`""`, testNumber), wechat.KindUnusable,
			phone + "unusable response: no usable countryCode"},
		"a number that is null": {number, `{"errcode":0,"phone_info":null}`, wechat.KindUnusable,
			phone + "unusable response: no usable purePhoneNumber, countryCode"},
		"an errcode":                   {session, `{"errcode":40029}`, wechat.KindInvalidCode, jscode + "invalid code (errcode 40029)"},
		"an errcode as a text":         {session, `{"errcode":"40029"}`, wechat.KindInvalidCode, jscode + "invalid code (errcode 40029)"},
		"an errcode behind odd fields": {number, "{\"phone_info\":\"\xff\n\",\"errcode\":40029.0}", wechat.KindInvalidCode, phone + "invalid code (errcode 40029)"},
		"half an object":               {session, `{"openid":`, wechat.KindUnavailable, jscode + "unavailable: response is not a JSON object"},
		"a page":                       {number, `<html>`, wechat.KindUnavailable, phone + "unavailable: response is not a JSON object"},
		"a list":                       {number, `[]`, wechat.KindUnavailable, phone + "unavailable: response is not a JSON object"},
		"null":                         {session, `null`, wechat.KindUnavailable, jscode + "unavailable: response is not a JSON object"},
		"an access_token that is none": {token, `{"access_token":"","expires_in":7200}`, wechat.KindUnavailable,
			"wechat: stable_token: unavailable: no usable access_token"},
	} {
		t.Run(name, func(t *testing.T) {
			var calls int
			err := test.call(newClient(t, wechat.Options{Transport: cannedResponses(&calls, test.body), Timeout: 10 * time.Millisecond}))
			e, ok := errors.AsType[*wechat.Error](err)
			if !ok || e.Kind != test.kind || err.Error() != test.want || calls != 1 {
				t.Errorf("got %v (%s) after %d calls, want %s", err, wechat.KindOf(err), calls, test.want)
			}
			if ok && e.IsTransport() != (test.kind == wechat.KindUnavailable) {
				t.Errorf("Transport is %v", e.IsTransport())
			}
		})
	}
}

// Every errcode that WeChat documents for these APIs, and some others. Only errors that go away within minutes are
// unavailable or rate limited, because a client retries these.
func TestError_KindByAPI(t *testing.T) {
	const (
		invalid, blocked, limited = wechat.KindInvalidCode, wechat.KindBlocked, wechat.KindRateLimited
		operator, passes          = wechat.KindMisconfigured, wechat.KindUnavailable
	)
	kinds := map[int][3]wechat.Kind{ // of jscode2session, stable_token, getuserphonenumber
		-1:    {passes, passes, passes},
		-1000: {passes, passes, passes},
		45011: {limited, limited, limited},
		40029: {invalid, operator, invalid},
		40163: {invalid, operator, invalid},
		40226: {blocked, operator, blocked},
		40013: {operator, operator, invalid},
	}
	for _, errCode := range []int{
		40001, 40002, 40003, 40014, 40066, 40125, 40164, 40243, 41001, 41002, 41004, 41008, 41018, 41030, 42001, 42002, 43001, 43002,
		43003, 43104, 44002, 45002, 45009, 45035, 47001, 48001, 48004, 50001, 50002, 50004, 50005, 50007, 61004, 61007, 61014, 61016,
		61024, 87009, 89501, 89503, 89506, 89507, 1, 12345, 99999, 9999999999, -2, -41002, -80000,
	} {
		kinds[errCode] = [3]wechat.Kind{operator, operator, operator}
	}
	for errCode, want := range kinds {
		for i, e := range errorsFor(t, strconv.Itoa(errCode)) {
			if e.Kind != want[i] || e.ErrCode != errCode || e.RID == "" || e.IsTransport() {
				t.Errorf("%d of %s is %s, want %s: %v", errCode, e.API, e.Kind, want[i], e)
			}
		}
	}
	for _, e := range errorsFor(t, `"40125"`) {
		if e.Kind != operator || e.ErrCode != 40125 {
			t.Errorf("as a text: %v", e)
		}
	}
}

// errorsFor returns the errors of the three APIs for an errcode.
func errorsFor(t *testing.T, errCode string) (errs []*wechat.Error) {
	t.Helper()
	body := fmt.Sprintf(`{"errcode":%s,"errmsg":"x, rid: 652d44d0-1d0af18b-5b069232"}`, errCode)
	client := newClient(t, wechat.Options{
		Timeout:   20 * time.Millisecond, // no pause fits into it
		Transport: roundTrip(func(*http.Request) (*http.Response, error) { return response(http.StatusOK, body), nil }),
	})
	_, login := client.Code2Session(t.Context(), testCode)
	_, _, token := client.StableToken(t.Context(), false)
	_, number := client.PhoneNumber(t.Context(), testToken, testOpenID, testCode)
	for _, err := range []error{login, token, number} {
		e, ok := errors.AsType[*wechat.Error](err)
		if !ok {
			t.Fatalf("%s: %v", errCode, err)
		}
		errs = append(errs, e)
	}
	return errs
}

func TestIsInvalidToken_ByAPI(t *testing.T) {
	for _, errCode := range []int{40001, 40014, 42001} {
		errs := errorsFor(t, strconv.Itoa(errCode))
		if wechat.IsInvalidToken(errs[1]) || !wechat.IsInvalidToken(errs[2]) {
			t.Errorf("%d: stable_token, which takes no token, has one refused; or getuserphonenumber has not", errCode)
		}
	}
}
