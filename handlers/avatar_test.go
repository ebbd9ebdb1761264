package handlers_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"wxlogin/internal/ratelimit"
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

// uploadHead returns the header of an upload of the given size. If token is empty, it has no Authorization.
func uploadHead(token string, size int) string {
	authorization := ""
	if token != "" {
		authorization = "Authorization: Bearer " + token + "\r\n"
	}
	return fmt.Sprintf("POST /uploadAvatar HTTP/1.1\r\nHost: x\r\n%sContent-Type: multipart/form-data; boundary=b\r\nContent-Length: %d\r\n\r\n",
		authorization, size)
}

// dial opens a connection to the public listener and writes to it.
func (srv *testServer) dial(send string) net.Conn {
	srv.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(srv.public.URL, "http://"))
	srv.must(err)
	srv.t.Cleanup(func() { conn.Close() })
	_, err = io.WriteString(conn, send)
	srv.must(err)
	return conn
}

// readResponse reads the response on a connection.
func (srv *testServer) readResponse(conn net.Conn) (res *http.Response, content string) {
	srv.t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	srv.must(err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	srv.must(err)
	return res, string(b)
}

// The user and the right to upload are checked before the body is read, so the response comes without the body.
func TestUploadAvatar_RejectsBeforeBody(t *testing.T) {
	srv := newTestServer(t)
	token := srv.login(srv.device("alice")).Token
	blocked := srv.login(srv.device("bob")).Token
	if _, err := srv.db.Exec("UPDATE users SET status = 2 WHERE id = ?", srv.queryText("SELECT MAX(id) FROM users")); err != nil {
		t.Fatal(err)
	}
	tokenField := "--b\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\n"
	fileHead := "\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n"
	for name, tt := range map[string]struct {
		send   string
		status int
	}{
		"a token that ended":       {uploadHead(strings.Repeat("A", 43), 4<<20), 401},
		"no token but a file":      {uploadHead("", 4<<20) + fileHead[2:], 401},
		"a field of a bad token":   {uploadHead("", 4<<20) + tokenField + "x" + fileHead, 401},
		"a disabled user":          {uploadHead(blocked, 4<<20), 403},
		"a disabled user's field":  {uploadHead("", 4<<20) + tokenField + blocked + fileHead, 403},
		"no multipart body":        {strings.Replace(uploadHead(token, 4<<20), "multipart/form-data", "image/jpeg", 1), 415},
		"no boundary":              {strings.Replace(uploadHead(token, 4<<20), "; boundary=b", "", 1), 400},
		"a body that is too large": {uploadHead(token, 5<<20), 413},
	} {
		t.Run(name, func(t *testing.T) {
			res, content := srv.readResponse(srv.dial(tt.send))
			if res.StatusCode != tt.status || !res.Close {
				t.Errorf("%d, the connection is closed: %v; %s", res.StatusCode, res.Close, content)
			}
		})
	}
	t.Run("a client that sends all before it reads gets its answer", func(t *testing.T) {
		conn := srv.dial(uploadHead(strings.Repeat("A", 43), 3<<20))
		if _, err := conn.Write(make([]byte, 3<<20)); err != nil {
			t.Fatal(err)
		}
		if res, content := srv.readResponse(conn); res.StatusCode != 401 {
			t.Errorf("%d %s", res.StatusCode, content)
		}
	})
	srv.wantPictures(0)
}

// A connection without a token takes no slot, and those of one user take only that user's.
func TestUploadAvatar_SilentClients(t *testing.T) {
	srv := newTestServer(t)
	file := pictureFiles(t)["jpeg"]
	for range 200 {
		srv.dial(uploadHead("", 4<<20))
	}
	mallory := srv.login(srv.device("mallory")).Token
	for range 40 {
		srv.dial(uploadHead(mallory, 4<<20))
	}
	alice := srv.device("alice")
	token := srv.login(alice).Token
	srv.mustUpdate(token, alice.GetUserInfo())
	if r := srv.upload(token, file); r.status != http.StatusOK {
		t.Errorf("an upload of another user: %d %s", r.status, r.body.Code)
	}
	srv.wantPictures(1)
}

// A shutdown gives uploads some time and then responds, so that it does not wait for bodies that never arrive.
func TestUploadAvatar_Shutdown(t *testing.T) {
	closing, stop := context.WithCancel(t.Context())
	srv := newTestServer(t, func(cfg *serverConfig) { cfg.closing, cfg.uploadStopGrace = closing, time.Nanosecond })
	token := srv.login(srv.device("alice")).Token
	reading := []net.Conn{srv.dial(uploadHead(token, 4<<20)), srv.dial(uploadHead(token, 4<<20) + "--b\r\n")}
	waiting := srv.dial(uploadHead(token, 4<<20)) // for a slot: the user has two already
	tokenless := srv.dial(uploadHead("", 4<<20) + "--b\r\n")
	stop()
	for _, conn := range append(reading, waiting, tokenless) {
		if res, content := srv.readResponse(conn); res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
			t.Errorf("%d %s", res.StatusCode, content)
		}
	}
	srv.wantPictures(0)
}

func TestUploadLimit(t *testing.T) {
	file := pictureFiles(t)["jpeg"]
	clock := func(srv **testServer) func(cfg *serverConfig) {
		return func(cfg *serverConfig) {
			cfg.limits.Uploads = 3
			cfg.limits.DailyCounter = ratelimit.New(ratelimit.Options{
				Window: 24 * time.Hour, Now: func() time.Time { return (*srv).clock.Now() },
			})
		}
	}
	t.Run("counts what is decoded, for the user", func(t *testing.T) {
		var srv *testServer
		srv = newTestServer(t, clock(&srv))
		for range 3 {
			srv.wantProblem(srv.upload(srv.login(srv.device("alice")).Token, []byte("text")), 422, "invalid_picture", "none")
			if r := srv.upload(srv.login(srv.device("alice")).Token, file); r.status != http.StatusOK {
				t.Fatalf("%d %s", r.status, r.body.Code)
			}
		}
		r := srv.upload(srv.login(srv.device("alice")).Token, file)
		srv.wantProblem(r, 429, "rate_limited", "retry")
		if r.header.Get("Retry-After") != "3600" {
			t.Errorf("Retry-After %s", r.header.Get("Retry-After"))
		}
		srv.wantRefusals("daily_uploads", "1")
		if r := srv.upload(srv.login(srv.device("bob")).Token, file); r.status != http.StatusOK {
			t.Errorf("another user: %d %s", r.status, r.body.Code)
		}
		srv.advance(48 * time.Hour)
		if r := srv.upload(srv.login(srv.device("alice")).Token, file); r.status != http.StatusOK {
			t.Errorf("two days later: %d %s", r.status, r.body.Code)
		}
	})
	t.Run("holds for uploads at once", func(t *testing.T) {
		var srv *testServer
		srv = newTestServer(t, clock(&srv))
		token := srv.login(srv.device("alice")).Token
		var body bytes.Buffer
		m := multipart.NewWriter(&body)
		srv.must(m.WriteField("token", token))
		srv.filePart(m, file)
		srv.must(m.Close())
		var mu sync.Mutex
		statuses := map[int]int{}
		var wg sync.WaitGroup
		for range 12 {
			wg.Go(func() {
				r := srv.do(srv.request("/uploadAvatar", m.FormDataContentType(), body.String()))
				mu.Lock()
				defer mu.Unlock()
				statuses[r.status]++
			})
		}
		wg.Wait()
		if statuses[200] != 3 || statuses[429] != 9 {
			t.Errorf("statuses %v", statuses)
		}
		srv.wantPictures(1)
	})
}
