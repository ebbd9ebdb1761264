package demopage

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

func TestMakeBundle(t *testing.T) {
	b, err := makeBundle("mini", fstest.MapFS{
		"app.js": {Data: []byte("App({});")}, "config.js": {Data: []byte("left out")}, "pages/a.wxml": {Data: []byte("<view a=\"b\"/>\n")},
		"README.md": {Data: []byte("left out")},
	}, "config.js")
	if err != nil {
		t.Fatal(err)
	}
	want := `bundle("mini");
define("app.js", function (require, module, exports, wx, App, Page, getApp, getCurrentPages) {
App({});
});
file("pages/a.wxml", "\u003cview a=\"b\"/\u003e\n");
`
	if string(b) != want {
		t.Errorf("got\n%s", b)
	}
}

func TestPage_Files(t *testing.T) {
	p := newTestPage(t, http.NotFoundHandler())
	for path, contentType := range map[string]string{
		"/": "text/html; charset=utf-8", "/assets/page.js": "text/javascript; charset=utf-8", "/assets/page.css": "text/css; charset=utf-8",
		"/bundle/phone.js": "text/javascript; charset=utf-8",
	} {
		plain, zipped := get(p, path, ""), get(p, path, "gzip, br")
		if plain.Code != http.StatusOK || plain.Header().Get("Content-Type") != contentType {
			t.Errorf("%s: %d, %s", path, plain.Code, plain.Header().Get("Content-Type"))
		}
		unzipped, err := gzip.NewReader(zipped.Body)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		content, err := io.ReadAll(unzipped)
		if err != nil || string(content) != plain.Body.String() {
			t.Errorf("%s: the compressed content differs (%v)", path, err)
		}
		if policy := plain.Header().Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'") {
			t.Errorf("%s: the policy is %q", path, policy)
		}
	}
	if got := get(p, "/assets/index.html", "").Code; got != http.StatusNotFound {
		t.Errorf("index.html is served at a second path: %d", got)
	}
}

func get(p *Page, path, encoding string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "http://localhost"+path, nil)
	r.Header.Set("Accept-Encoding", encoding)
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}
