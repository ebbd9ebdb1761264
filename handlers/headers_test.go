package handlers_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"testing"
)

// A header that decides how a request is read is taken once or not at all: a proxy may read the other one.
func TestHeaders_GivenTwice(t *testing.T) {
	const detail = "Content-Type is given twice."
	w := newWorld(t, withAPIKey)
	token := w.login(w.phone("alice")).Token
	twice := func(req *http.Request, name, second string) *http.Request {
		req.Header.Add(name, second)
		return req
	}

	for _, path := range []string{"/onLogin", "/updateUserInfo", "/bindPhone", "/logout"} {
		t.Run("Content-Type of "+path, func(t *testing.T) {
			exchanges := w.sim.Calls()
			for _, second := range []string{formType, "application/json", "text/plain", ""} {
				r := w.do(twice(w.request(path, formType, "code="+w.phone("alice").Login()+"&token="+token), "Content-Type", second))
				w.wantProblem(r, 400, "invalid_request", "none")
				if r.body.Detail != detail {
					t.Errorf("%q: %s", second, r.body.Detail)
				}
			}
			if got := w.sim.Calls(); got != exchanges {
				t.Errorf("%d calls of WeChat", got-exchanges)
			}
		})
	}

	t.Run("Content-Type of /uploadAvatar", func(t *testing.T) {
		var body bytes.Buffer
		m := multipart.NewWriter(&body)
		part, err := m.CreateFormFile("file", "a.jpg")
		w.must(err)
		_, err = part.Write(pictureFiles(t)["jpeg"])
		w.must(err)
		w.must(m.Close())
		for _, second := range []string{m.FormDataContentType(), "multipart/form-data; boundary=other", "image/jpeg"} {
			req := w.request("/uploadAvatar", m.FormDataContentType(), body.String())
			req.Header.Set("Authorization", "Bearer "+token)
			r := w.do(twice(req, "Content-Type", second))
			w.wantProblem(r, 400, "invalid_request", "none")
			if r.body.Detail != detail {
				t.Errorf("%q: %s", second, r.body.Detail)
			}
		}
		w.wantPictures(0)
	})

	t.Run("Authorization", func(t *testing.T) {
		req, err := http.NewRequest(http.MethodGet, w.public.URL+"/userInfo", nil)
		w.must(err)
		req.Header.Set("Authorization", "Bearer "+token)
		w.wantProblem(w.do(twice(req, "Authorization", "Bearer "+token)), 401, "invalid_token", "relogin")
	})

	t.Run("X-Request-Id is a new one", func(t *testing.T) {
		req := w.request("/logout", formType, "")
		req.Header.Set("X-Request-Id", "first")
		if got := w.do(twice(req, "X-Request-Id", "second")).header.Get("X-Request-Id"); got == "first" || got == "second" {
			t.Errorf("it is %q", got)
		}
	})

	t.Run("the API key", func(t *testing.T) {
		for path, code := range map[string]int{"/introspect": http.StatusUnauthorized, "/verify": http.StatusForbidden} {
			for _, second := range []string{apiKey, "another"} {
				req, err := http.NewRequest(http.MethodPost, w.internal.URL+path, nil)
				w.must(err)
				req.Header.Set("X-Api-Key", apiKey)
				req.Header.Set("Authorization", "Bearer "+token)
				if got := w.send(twice(req, "X-Api-Key", second)).status; got != code {
					t.Errorf("%s: %d, want %d", path, got, code)
				}
			}
		}
		req, err := http.NewRequest(http.MethodPost, w.internal.URL+"/introspect", nil)
		w.must(err)
		req.SetBasicAuth("orders", apiKey)
		if got := w.send(twice(req, "Authorization", "Bearer x")).status; got != http.StatusUnauthorized {
			t.Errorf("/introspect with two Authorization headers: %d", got)
		}
	})
}
