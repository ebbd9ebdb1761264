package client_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"wxlogin/client"
)

// serve sends a request with these headers through a Middleware. It returns the response, and what the handler saw.
func serve(t *testing.T, c *client.Client, header http.Header) (resp *http.Response, seen *client.Token) {
	t.Helper()
	handler := c.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if known, ok := client.FromContext(r.Context()); ok {
			seen = &known
		}
		if _, err := c.User(r.Context(), 7); err != nil {
			t.Log(err)
		}
	}))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header = header
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, r)
	return recorder.Result(), seen
}

// The token of the request goes to the server in the body, and the request id goes along with every call of the handler.
func TestMiddleware_Requests(t *testing.T) {
	long := strings.Repeat("x", 65)
	for name, test := range map[string]struct {
		header http.Header
		ids    string // X-Request-Id of the introspection and of the handler's call
	}{
		"a request id":   {http.Header{"Authorization": {"Bearer " + token}, "X-Request-Id": {"id-1"}}, "id-1 id-1"},
		"no request id":  {http.Header{"Authorization": {"Bearer " + token}}, " "},
		"a long one":     {http.Header{"Authorization": {"Bearer " + token}, "X-Request-Id": {long}}, " "},
		"two of them":    {http.Header{"Authorization": {"Bearer " + token}, "X-Request-Id": {"a", "b"}}, " "},
		"spaces around":  {http.Header{"Authorization": {"BEARER   " + token + " "}}, " "},
		"forged headers": {http.Header{"Authorization": {"Bearer " + token}, "X-Api-Key": {"forged"}}, " "},
	} {
		t.Run(name, func(t *testing.T) {
			var ids []string
			c := stubbed(t, func(r *http.Request) (*http.Response, error) {
				ids = append(ids, r.Header.Get("X-Request-Id"))
				if r.Header.Get("Authorization") != "" || r.Header.Get("X-Api-Key") != secret || strings.Contains(r.URL.String(), token) {
					t.Errorf("the request to %s has other headers or the token in its URL", r.URL.Path)
				}
				if r.URL.Path == "/introspect" {
					body, err := io.ReadAll(r.Body)
					if err != nil || string(body) != "token="+token {
						t.Errorf("another body, %v", err)
					}
				}
				return respond(http.StatusOK, activeBody)
			})
			resp, seen := serve(t, c, test.header)
			if resp.StatusCode != http.StatusOK || seen == nil || seen.UserID != 7 {
				t.Errorf("status %d, the handler saw %+v", resp.StatusCode, seen)
			}
			if got := strings.Join(ids, " "); got != test.ids {
				t.Errorf("request ids %q, want %q", got, test.ids)
			}
		})
	}
}

// What cannot be a token is refused without a request.
func TestMiddleware_AsksOnlyAboutTokens(t *testing.T) {
	c := stubbed(t, func(*http.Request) (*http.Response, error) {
		t.Error("the server was asked")
		return respond(http.StatusOK, activeBody)
	})
	for name, values := range map[string][]string{
		"none": nil, "empty": {""}, "no token": {"Bearer"}, "short": {"Bearer x"}, "long": {"Bearer " + token + "x"},
		"another alphabet": {"Bearer " + strings.Repeat("+", 43)}, "another scheme": {"Basic " + token}, "no scheme": {token},
		"two": {"Bearer " + token, "Bearer " + token},
	} {
		t.Run(name, func(t *testing.T) {
			resp, seen := serve(t, c, http.Header{"Authorization": values})
			if resp.StatusCode != http.StatusUnauthorized || seen != nil {
				t.Errorf("status %d, the handler saw %+v", resp.StatusCode, seen)
			}
		})
	}
}

func TestMiddleware_ErrorHandler(t *testing.T) {
	for name, test := range map[string]struct {
		body string
		err  error
	}{
		"invalid token": {`{"active":false}`, client.ErrInvalidToken},
		"no answer":     {`<html>`, client.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			c := stubbed(t, func(*http.Request) (*http.Response, error) { return respond(http.StatusOK, test.body) },
				func(o *client.Options) {
					o.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, err error) {
						if !errors.Is(err, test.err) {
							t.Errorf("got %v, want %v", err, test.err)
						}
						w.WriteHeader(http.StatusTeapot)
					}
				})
			resp, seen := serve(t, c, http.Header{"Authorization": {"Bearer " + token}})
			if resp.StatusCode != http.StatusTeapot || seen != nil {
				t.Errorf("status %d, the handler saw %+v", resp.StatusCode, seen)
			}
		})
	}
}

// The client waits for as long as the login server asks.
func TestWriteError_RetryAfter(t *testing.T) {
	c := stubbed(t, func(*http.Request) (*http.Response, error) { return respond(503, busyBody, "Retry-After", "30") })
	resp, _ := serve(t, c, http.Header{"Authorization": {"Bearer " + token}})
	if got := resp.Header.Get("Retry-After"); resp.StatusCode != http.StatusServiceUnavailable || got != "30" {
		t.Errorf("status %d, Retry-After %s", resp.StatusCode, got)
	}
}

func TestFromContext(t *testing.T) {
	if _, ok := client.FromContext(t.Context()); ok {
		t.Error("a context without a token has one")
	}
	want := client.Token{UserID: 7}
	if got, ok := client.FromContext(client.NewContext(t.Context(), want)); !ok || got != want {
		t.Errorf("%+v, %v", got, ok)
	}
}
