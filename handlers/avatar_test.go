package handlers_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"
)

// manyRanges is a Range header of the maximum size that a listener accepts.
var manyRanges = "bytes=" + strings.Repeat("0-0,", 4500) + "0-0"

// servedPicture is a picture that the server serves.
type servedPicture struct {
	*testServer
	path string
	data []byte
}

func newServedPicture(tb testing.TB) servedPicture {
	tb.Helper()
	srv := newTestServer(tb)
	r := srv.upload(srv.login(srv.device("alice")).Token, pictureFiles(tb)["jpeg"])
	res, data := srv.fetch(r.body.AvatarURL)
	if res.StatusCode != http.StatusOK || len(data) == 0 {
		tb.Fatalf("%d, %d bytes", res.StatusCode, len(data))
	}
	return servedPicture{srv, "/avatars/" + path.Base(r.body.AvatarURL), data}
}

// request calls the handler directly. headers are names and values in turn.
func (k servedPicture) request(method string, headers ...string) *http.Response {
	req := httptest.NewRequest(method, k.path, nil)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	k.public.Config.Handler.ServeHTTP(rec, req)
	return rec.Result()
}

func (k servedPicture) wantWhole(t *testing.T, res *http.Response) {
	t.Helper()
	var got bytes.Buffer
	if _, err := got.ReadFrom(res.Body); err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK || !bytes.Equal(got.Bytes(), k.data) || res.Header.Get("Content-Range") != "" {
		t.Errorf("%d with %d bytes, want all %d", res.StatusCode, got.Len(), len(k.data))
	}
	k.wantHeader(t, res)
}

func (k servedPicture) wantHeader(t *testing.T, res *http.Response) {
	t.Helper()
	for name, want := range map[string]string{
		"Content-Type": "image/jpeg", "Content-Length": fmt.Sprint(len(k.data)), "Accept-Ranges": "none",
		"ETag": `"` + path.Base(k.path) + `"`,
	} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestServeAvatar_Ranges(t *testing.T) {
	k := newServedPicture(t)
	etag := `"` + path.Base(k.path) + `"`
	for name, headers := range map[string][]string{
		"none":          nil,
		"one":           {"Range", "bytes=0-9"},
		"several":       {"Range", "bytes=0-9,20-29"},
		"unsatisfiable": {"Range", "bytes=99999999-"},
		"malformed":     {"Range", "bytes=x"},
		"thousands":     {"Range", manyRanges},
		"two headers":   {"Range", "bytes=0-1", "Range", "bytes=2-3"},
		"If-Range":      {"Range", "bytes=0-9", "If-Range", etag},
	} {
		t.Run(name+": the whole picture", func(t *testing.T) { k.wantWhole(t, k.request(http.MethodGet, headers...)) })
	}
	t.Run("thousands of ranges take no more memory than none", func(t *testing.T) {
		allocs := func(headers ...string) float64 {
			return testing.AllocsPerRun(20, func() { k.request(http.MethodGet, headers...) })
		}
		if plain, many := allocs(), allocs("Range", manyRanges); many > plain+20 {
			t.Errorf("%v allocations, %v without", many, plain)
		}
	})
	t.Run("HEAD has the header and no body", func(t *testing.T) {
		res := k.request(http.MethodHead, "Range", "bytes=0-9")
		if body := new(bytes.Buffer); res.StatusCode != http.StatusOK {
			t.Error(res.Status)
		} else if n, _ := body.ReadFrom(res.Body); n != 0 {
			t.Errorf("%d bytes", n)
		}
		k.wantHeader(t, res)
	})
}

func TestServeAvatar_IfNoneMatch(t *testing.T) {
	k := newServedPicture(t)
	etag := `"` + path.Base(k.path) + `"`
	for name, test := range map[string]struct {
		headers []string
		status  int
	}{
		"its own":                {[]string{"If-None-Match", etag}, 304},
		"its own, weak":          {[]string{"If-None-Match", "W/" + etag}, 304},
		"its own among others":   {[]string{"If-None-Match", `"a", ` + etag + `,"b"`}, 304},
		"its own in a second":    {[]string{"If-None-Match", `"a"`, "If-None-Match", etag}, 304},
		"any":                    {[]string{"If-None-Match", " * "}, 304},
		"its own behind 20 KiB":  {[]string{"If-None-Match", strings.Repeat(`"a",`, 5000) + etag}, 304},
		"another":                {[]string{"If-None-Match", `"a"`}, 200},
		"its own without quotes": {[]string{"If-None-Match", path.Base(k.path)}, 200},
		"a longer one":           {[]string{"If-None-Match", `"x` + path.Base(k.path) + `"`}, 200},
		"thousands of others":    {[]string{"If-None-Match", strings.Repeat(`"a",`, 5000)}, 200},
		"a date":                 {[]string{"If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT"}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				res := k.request(method, test.headers...)
				if res.StatusCode != test.status || res.Header.Get("ETag") != etag {
					t.Errorf("%s: %d with ETag %s, want %d", method, res.StatusCode, res.Header.Get("ETag"), test.status)
				}
				if test.status == http.StatusNotModified && res.Header.Get("Content-Length") != "" {
					t.Error("304 has a Content-Length")
				}
			}
		})
	}
}

// BenchmarkServeAvatar measures a picture with headers that could make it expensive.
func BenchmarkServeAvatar(b *testing.B) {
	k := newServedPicture(b)
	for name, headers := range map[string][]string{
		"plain": nil, "ranges": {"Range", manyRanges}, "etags": {"If-None-Match", strings.Repeat(`"a",`, 5000)},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				k.request(http.MethodGet, headers...)
			}
		})
	}
}
