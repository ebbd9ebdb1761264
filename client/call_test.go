package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"wxlogin/client"
)

// token is a well-formed token.
const token = "wellformed_0123456789abcdefghijklmnopqrstuv"

// respond returns a response with a JSON body; header has pairs of names and values.
func respond(status int, body string, header ...string) (*http.Response, error) {
	h := http.Header{"Content-Type": {"application/json"}}
	if status != http.StatusOK {
		h.Set("Content-Type", "application/problem+json")
	}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}, nil
}

const (
	activeBody  = `{"active":true,"sub":"7","client_id":"wx1","openid":"o7","iat":946684800,"exp":4102444800}`
	busyBody    = `{"status":503,"code":"storage_unavailable","action":"retry"}`
	misconfBody = `{"status":503,"code":"misconfigured","action":"none"}`
)

var (
	errRefused = &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	errReset   = &net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset by peer")}
)

// What is repeated, and how much later. The clock of the bubble moves only while all wait.
func TestClient_Retries(t *testing.T) {
	for name, test := range map[string]struct {
		first   func() (*http.Response, error) // the answers before the good one
		times   int
		options func(*client.Options)
		asked   int           // requests
		least   time.Duration // that the call takes
		most    time.Duration
		err     error
	}{
		"an answer": {asked: 1},
		"refused connection": {
			first: func() (*http.Response, error) { return nil, errRefused }, times: 2, asked: 3,
			least: 150 * time.Millisecond, most: 190 * time.Millisecond,
		},
		"broken connection": {first: func() (*http.Response, error) { return nil, errReset }, times: 1, asked: 2,
			least: 50 * time.Millisecond, most: 63 * time.Millisecond},
		"half an answer": {first: halfAnAnswer, times: 1, asked: 2, least: 50 * time.Millisecond, most: 63 * time.Millisecond},
		"refused for ever": {
			first: func() (*http.Response, error) { return nil, errRefused }, times: 99, asked: 3, err: client.ErrUnavailable,
			least: 150 * time.Millisecond, most: 190 * time.Millisecond,
		},
		"no retries": {
			first: func() (*http.Response, error) { return nil, errRefused }, times: 1, asked: 1, err: client.ErrUnavailable,
			options: func(o *client.Options) { o.Retries = -1 },
		},
		"busy": {
			first: func() (*http.Response, error) { return respond(503, busyBody, "Retry-After", "2") }, times: 1, asked: 2,
			least: 2 * time.Second, most: 2500 * time.Millisecond,
		},
		"busy for longer than the call may take": {
			first: func() (*http.Response, error) { return respond(503, busyBody, "Retry-After", "3") }, times: 1, asked: 1,
			err: client.ErrUnavailable,
		},
		"busy for as long as it may": {
			first: func() (*http.Response, error) { return respond(503, busyBody, "Retry-After", "9") }, times: 1, asked: 2,
			options: func(o *client.Options) { o.Timeout = time.Minute }, least: 9 * time.Second, most: 12 * time.Second,
		},
		"misconfigured": {
			first: func() (*http.Response, error) { return respond(503, misconfBody) }, times: 1, asked: 1, err: client.ErrUnavailable,
		},
		"rate limited": {
			first: func() (*http.Response, error) {
				return respond(429, `{"code":"rate_limited","action":"retry"}`, "Retry-After", "1")
			}, times: 1, asked: 1, err: client.ErrRateLimited,
		},
		"a bug": {
			first: func() (*http.Response, error) { return respond(500, `{"code":"internal","action":"none"}`) }, times: 1, asked: 1,
			err: client.ErrUnavailable,
		},
		"a proxy's page": {
			first: func() (*http.Response, error) { return respond(503, "<html>", "Content-Type", "text/html") }, times: 1, asked: 1,
			err: client.ErrUnavailable,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked, start := 0, time.Now()
				answer := func(*http.Request) (*http.Response, error) {
					if asked++; asked <= test.times {
						return test.first()
					}
					return respond(http.StatusOK, activeBody)
				}
				if test.options == nil {
					test.options = func(*client.Options) {}
				}
				got, err := stubbed(t, answer, test.options).Introspect(t.Context(), token)
				if !errors.Is(err, test.err) || (err == nil) != (got.UserID == 7) {
					t.Errorf("user %d, %v, want %v", got.UserID, err, test.err)
				}
				if took := time.Since(start); asked != test.asked || took < test.least || took > test.most {
					t.Errorf("%d requests in %v, want %d in %v to %v", asked, took, test.asked, test.least, test.most)
				}
			})
		})
	}
}

func halfAnAnswer() (*http.Response, error) {
	resp, err := respond(http.StatusOK, "")
	resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(activeBody[:20]), broken{}))
	return resp, err
}

// broken is the rest of a body that does not come.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// Each repeat has the whole request again.
func TestClient_RepeatsTheBody(t *testing.T) {
	var bodies []string
	c := stubbed(t, func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		bodies = append(bodies, r.Method+" "+r.URL.Path+" "+r.Header.Get("X-Api-Key")+" "+string(body))
		if len(bodies) == 1 {
			return nil, errReset
		}
		return respond(http.StatusOK, `{}`)
	})
	if err := c.SetStatus(t.Context(), 7, client.StatusDisabled, "spam & more"); err != nil {
		t.Fatal(err)
	}
	want := "PUT /users/7/status " + secret + " reason=spam+%26+more&status=disabled"
	if len(bodies) != 2 || bodies[0] != want || bodies[1] != want {
		t.Errorf("requests %q, want twice %q", bodies, want)
	}
}

func TestClient_Timeout(t *testing.T) {
	hangs := func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	t.Run("a server that hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			_, err := stubbed(t, hangs).Introspect(t.Context(), token)
			if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, client.ErrUnavailable) {
				t.Error(err)
			}
			if took := time.Since(start); took != client.DefaultTimeout {
				t.Errorf("it took %v", took)
			}
		})
	})
	t.Run("a server that waits for WeChat", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			if _, _, err := stubbed(t, hangs).AccessToken(t.Context(), ""); !errors.Is(err, client.ErrUnavailable) {
				t.Error(err)
			}
			if took := time.Since(start); took != 10*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	})
	t.Run("a caller who gives up", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Millisecond, cancel)
			_, err := stubbed(t, hangs).Introspect(ctx, token)
			if !errors.Is(err, context.Canceled) || errors.Is(err, client.ErrInvalidToken) {
				t.Error(err)
			}
		})
	})
	t.Run("a caller who gives up between two tries", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			busy := func(r *http.Request) (*http.Response, error) {
				if err := r.Context().Err(); err != nil {
					return nil, err
				}
				return respond(503, busyBody, "Retry-After", "2")
			}
			start := time.Now()
			_, err := stubbed(t, busy).Introspect(ctx, token)
			if took := time.Since(start); !errors.Is(err, context.Canceled) || took != time.Second {
				t.Errorf("%v after %v", err, took)
			}
		})
	})
}

// An answer without end is cut, and a redirect does not get the key and the token.
func TestClient_UntrustedServers(t *testing.T) {
	var reached bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	t.Cleanup(elsewhere.Close)
	for name, answer := range map[string]http.HandlerFunc{
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		},
		"too large": func(w http.ResponseWriter, _ *http.Request) {
			for range 2000 {
				io.WriteString(w, strings.Repeat(" ", 1024))
			}
			io.WriteString(w, activeBody)
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(answer)
			t.Cleanup(server.Close)
			c := newClient(t, client.Options{BaseURL: server.URL, APIKey: secret, Timeout: time.Minute})
			if _, err := c.Introspect(t.Context(), token); !errors.Is(err, client.ErrUnavailable) {
				t.Error(err)
			}
		})
	}
	if reached {
		t.Error("the redirect was followed")
	}
}

func TestClient_BaseURLWithAPath(t *testing.T) {
	var path string
	c := stubbed(t, func(r *http.Request) (*http.Response, error) {
		path = r.URL.Path
		return respond(http.StatusOK, activeBody)
	}, func(o *client.Options) { o.BaseURL = "https://gateway/login/" })
	if _, err := c.Introspect(t.Context(), token); err != nil || path != "/login/introspect" {
		t.Errorf("path %s, %v", path, err)
	}
}
