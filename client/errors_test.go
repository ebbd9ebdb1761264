package client_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"wxlogin/client"
)

func TestError_Is(t *testing.T) {
	kinds := map[string]error{
		"invalid_token": client.ErrInvalidToken, "user_blocked": client.ErrBlocked, "not_found": client.ErrNotFound,
		"conflict": client.ErrConflict, "invalid_request": client.ErrInvalidRequest, "invalid_api_key": client.ErrAPIKey,
		"undecryptable": client.ErrUndecryptable, "rate_limited": client.ErrRateLimited, "unavailable": client.ErrUnavailable,
	}
	for name, test := range map[string]struct {
		status     int
		body, kind string // "" if it matches none
	}{
		"invalid token":      {401, `{"code":"invalid_token"}`, "invalid_token"},
		"blocked":            {403, `{"code":"user_blocked"}`, "user_blocked"},
		"not found":          {404, `{"code":"not_found"}`, "not_found"},
		"conflict":           {409, `{"code":"conflict"}`, "conflict"},
		"invalid request":    {400, `{"code":"invalid_request"}`, "invalid_request"},
		"wrong key":          {401, `{"code":"invalid_api_key"}`, "invalid_api_key"},
		"undecryptable":      {422, `{"code":"undecryptable"}`, "undecryptable"},
		"rate limited":       {429, `{"code":"rate_limited"}`, "rate_limited"},
		"internal":           {500, `{"code":"internal"}`, "unavailable"},
		"misconfigured":      {503, `{"code":"misconfigured"}`, "unavailable"},
		"a code of later":    {418, `{"code":"teapot"}`, ""},
		"a proxy's 401":      {401, `{"error":"unauthorized"}`, "unavailable"},
		"a proxy's 404":      {404, `<html>`, "unavailable"},
		"a code with spaces": {404, `{"code":"not found"}`, "unavailable"},
		"another 200":        {200, `{"hello":"world"}`, "unavailable"},
		"a page with 200":    {200, `<html>`, "unavailable"},
		"an empty 200":       {200, ``, "unavailable"},
		"a user without id":  {200, `{"status":"active"}`, "unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			c := stubbed(t, func(*http.Request) (*http.Response, error) { return respond(test.status, test.body) })
			_, err := c.User(t.Context(), 7)
			for kind, sentinel := range kinds {
				if got := errors.Is(err, sentinel); got != (kind == test.kind) {
					t.Errorf("%v is %s: %v", err, kind, got)
				}
			}
		})
	}
}

func TestError_Fields(t *testing.T) {
	c := stubbed(t, func(*http.Request) (*http.Response, error) {
		return respond(429, `{"code":"rate_limited","action":"retry","detail":"Too many.","requestId":"r1"}`, "Retry-After", "60")
	})
	_, err := c.Decrypt(t.Context(), token, "data", "iv")
	e, ok := errors.AsType[*client.Error](err)
	if !ok {
		t.Fatal(err)
	}
	got := fmt.Sprintln(e.Op, e.Status, e.Code, e.Action, e.Detail, e.RequestID, e.RetryAfter)
	if want := fmt.Sprintln("Decrypt", 429, "rate_limited", "retry", "Too many.", "r1", time.Minute); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if text := "wxlogin: Decrypt: 429 rate_limited (request r1)"; err.Error() != text {
		t.Errorf("%s, want %s", err, text)
	}
}

// No error shows what was sent, whatever goes wrong: a server that echoes, net/http's errors with the URL in them.
func TestError_ShowsNothingThatWasSent(t *testing.T) {
	const phone, data = "+8613800138000", "the-data-to-be-signed"
	sent := []string{secret, token, phone, "13800138000", data, "ext-77"}
	echo := func(r *http.Request) string {
		body, _ := io.ReadAll(r.Body)
		return r.URL.RawQuery + r.Header.Get("X-Api-Key") + string(body)
	}
	for name, answer := range map[string]http.HandlerFunc{
		"echo as detail and code": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"code":%q,"detail":%q,"requestId":%q}`, "x "+echo(r), echo(r), echo(r))
		},
		"echo as text": func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, echo(r)) },
		"no HTTP": func(w http.ResponseWriter, r *http.Request) {
			conn, buffer, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			fmt.Fprint(buffer, secret, token, r.URL.RawQuery, "\r\n\r\n")
			buffer.Flush()
			conn.Close()
		},
		"cut": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(answer)
			t.Cleanup(server.Close)
			c := newClient(t, client.Options{BaseURL: server.URL, APIKey: secret, Timeout: time.Minute})
			for op, err := range failAll(t, c, phone, data) {
				if err == nil {
					t.Errorf("%s succeeds", op)
					continue
				}
				for _, s := range sent {
					if text := fmt.Sprintf("%v %+v %s", err, err, errors.Unwrap(err)); strings.Contains(text, s) {
						t.Errorf("%s shows %s", op, s)
					}
				}
			}
		})
	}
}

// failAll makes a call of each kind, and returns their errors.
func failAll(t *testing.T, c *client.Client, phone, data string) map[string]error {
	t.Helper()
	errs := make(map[string]error)
	ctx := t.Context()
	_, errs["Introspect"] = c.Introspect(ctx, token)
	_, errs["UsersByPhone"] = c.UsersByPhone(ctx, phone)
	_, errs["UserByExternalID"] = c.UserByExternalID(ctx, "ext-77")
	errs["SetExternalID"] = c.SetExternalID(ctx, 7, "ext-77")
	errs["Erase"] = c.Erase(ctx, 7, data)
	_, errs["Sign"] = c.Sign(ctx, token, data)
	_, errs["Decrypt"] = c.Decrypt(ctx, token, data, data)
	_, _, errs["RefreshAccessToken"] = c.RefreshAccessToken(ctx, "wx1", secret)
	for _, err := range c.Changes(ctx, 0) {
		errs["Changes"] = err
	}
	return errs
}

func TestError_NamesTheCertificate(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	c := newClient(t, client.Options{BaseURL: server.URL, Timeout: time.Minute})
	if _, err := c.User(t.Context(), 7); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Error(err)
	}
}

// Whatever a server answers, a token is invalid only if it says so, and no user has the id 0.
func TestIntrospect_Answers(t *testing.T) {
	for _, tt := range []struct {
		status            int
		contentType, body string
		want              error
	}{
		{200, "application/json", activeBody, nil},
		{200, "application/json", `{"active":false}`, client.ErrInvalidToken},
		{200, "application/json", `{}`, client.ErrUnavailable},
		{200, "application/json", `{"active":true}`, client.ErrUnavailable},
		{200, "application/json", `{"active":true,"sub":"0"}`, client.ErrUnavailable},
		{200, "application/json", `{"active":null}`, client.ErrUnavailable},
		{200, "text/html", `<html>`, client.ErrUnavailable},
		{401, "application/problem+json", `{"code":"invalid_token"}`, client.ErrInvalidToken},
		{401, "application/problem+json", `{"code":"invalid_api_key","requestId":"\n"}`, client.ErrAPIKey},
		{401, "text/html", `<html>`, client.ErrUnavailable},
		{404, "text/html", `<html>`, client.ErrUnavailable},
		{503, "application/problem+json", busyBody, client.ErrUnavailable},
	} {
		c := stubbed(t, func(*http.Request) (*http.Response, error) {
			return respond(tt.status, tt.body, "Content-Type", tt.contentType)
		}, func(o *client.Options) { o.Retries = -1 })
		got, err := c.Introspect(t.Context(), token)
		if !errors.Is(err, tt.want) || (err == nil) != (got.UserID != 0) {
			t.Errorf("%d %s: user %d, %v", tt.status, tt.body, got.UserID, err)
		}
		if err != nil && (strings.ContainsAny(err.Error(), "\r\n") || strings.Contains(err.Error(), token)) {
			t.Errorf("the error's text is %q", err)
		}
	}
}
