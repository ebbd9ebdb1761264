package demopage

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"
)

// staticFile is a file that does not change while the demo runs. It is compressed once.
type staticFile struct {
	contentType string
	etag        string
	plain       []byte
	gzipped     []byte
}

// contentTypes of the page's files, independent of the system's MIME tables.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
}

func newStaticFile(name string, content []byte) (staticFile, error) {
	var zipped bytes.Buffer
	w, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		return staticFile{}, err
	}
	if _, err := w.Write(content); err != nil {
		return staticFile{}, err
	}
	if err := w.Close(); err != nil {
		return staticFile{}, err
	}
	sum := sha256.Sum256(content)
	return staticFile{
		contentType: contentTypes[path.Ext(name)],
		etag:        base64.RawURLEncoding.EncodeToString(sum[:12]),
		plain:       content, gzipped: zipped.Bytes(),
	}, nil
}

// ServeHTTP implements http.Handler. It serves gzip if the client accepts it, as every browser does.
func (s staticFile) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	content, etag := s.plain, s.etag
	w.Header().Set("Content-Type", s.contentType)
	w.Header().Add("Vary", "Accept-Encoding")
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") && r.Header.Get("Range") == "" {
		content, etag = s.gzipped, etag+"-gzip"
		w.Header().Set("Content-Encoding", "gzip")
	}
	w.Header().Set("ETag", `"`+etag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// addAssets adds the page's own files: index.html at the root, the others below /assets/.
func addAssets(routes *http.ServeMux, files fs.FS) error {
	return fs.WalkDir(files, ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, file)
		if err != nil {
			return err
		}
		served, err := newStaticFile(file, content)
		if err != nil {
			return err
		}
		route := "GET /assets/" + file
		if file == "index.html" {
			route = "GET /{$}"
		}
		routes.Handle(route, served)
		return nil
	})
}

// bundledExtensions are the extensions of a mini-program's files.
var bundledExtensions = []string{".js", ".json", ".wxml", ".wxss"}

// addBundle adds a route that serves a folder as /bundle/NAME.js.
func addBundle(routes *http.ServeMux, name string, files fs.FS, without ...string) error {
	script, err := makeBundle(name, files, without...)
	if err != nil {
		return err
	}
	served, err := newStaticFile(name+".js", script)
	if err != nil {
		return err
	}
	routes.Handle("GET /bundle/"+name+".js", served)
	return nil
}

// makeBundle returns a script that passes a folder's files to the page's loader: each script wrapped in a function, as
// WeChat wraps a mini-program's, and the other files as strings. Files listed in without are left out.
func makeBundle(name string, files fs.FS, without ...string) ([]byte, error) {
	var script bytes.Buffer
	fmt.Fprintf(&script, "bundle(%s);\n", quote(name))
	err := fs.WalkDir(files, ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !slices.Contains(bundledExtensions, path.Ext(file)) || slices.Contains(without, file) {
			return err
		}
		text, err := fs.ReadFile(files, file)
		if err != nil {
			return err
		}
		if strings.HasSuffix(file, ".js") {
			fmt.Fprintf(&script, "define(%s, function (require, module, exports, wx, App, Page, getApp, getCurrentPages) {\n%s\n});\n", quote(file), text)
		} else {
			fmt.Fprintf(&script, "file(%s, %s);\n", quote(file), quote(string(text)))
		}
		return nil
	})
	return script.Bytes(), err
}

// quote returns a string literal. A JSON string is valid JavaScript.
func quote(s string) string {
	literal, err := json.Marshal(s)
	if err != nil {
		panic("demopage: cannot encode a string: " + err.Error())
	}
	return string(literal)
}
