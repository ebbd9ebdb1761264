package demopage

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path"
	"strings"

	"wxlogin/wechat/wechattest"
)

//go:embed page
var pageFiles embed.FS

// Options configures a Page. All fields are required.
type Options struct {
	Wire    *Wire                 // records the traffic between wxlogin and WeChat
	WeChat  *wechattest.Simulator // the simulated WeChat
	Server  *url.URL              // wxlogin's public listener, which must trust this machine's X-Forwarded-For
	Storage                       // wxlogin's databases

	CutMySQL, CutRedis func() (restore func()) // make a database unreachable for wxlogin, but not for the page

	AppIDs  []string     // the mini-programs on the phone
	Push    PushSettings // of all of them
	Scripts []fs.FS      // CommonJS modules for the browser: the login client and the phone's wx object
}

// Page serves the demo's page.
type Page struct {
	Options
	proxy   http.Handler // to wxlogin
	handler http.Handler
}

const forwardedFor = "X-Forwarded-For"

// New returns a Page. It fails if the scripts cannot be read.
func New(o Options) (*Page, error) {
	p := &Page{
		Options: o,
		proxy: &httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(o.Server)
				r.Out.Header[forwardedFor] = r.In.Header[forwardedFor]
			},
			ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
				http.Error(w, "wxlogin is unreachable", http.StatusBadGateway)
			},
		},
	}
	routes := http.NewServeMux()
	if err := errors.Join(addAssets(routes), addBundle(routes, o.Scripts)); err != nil {
		return nil, err
	}
	routes.Handle("GET /avatars/", p.proxy)
	for route, serve := range map[string]func(*phone, http.ResponseWriter, *http.Request){
		"/phones/{id}/server/":                p.forward,
		"POST /phones/{id}/wechat/sim/{call}": p.callWeChat,
		"GET /phones/{id}/events":             p.streamEvents,
		"GET /phones/{id}/curl/{exchange}":    p.serveCurl,
		"GET /phones/{id}/state":              p.serveState,
		"GET /phones/{id}/face":               p.serveAvatar,
		"POST /phones/{id}/faults/{kind}":     p.injectFault,
	} {
		routes.HandleFunc(route, p.withPhone(serve))
	}
	p.handler = http.NewCrossOriginProtection().Handler(routes)
	return p, nil
}

// contentPolicy allows scripts, styles and requests of the page's own origin only.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// ServeHTTP implements http.Handler.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !isLoopback(r.Host) {
		http.Error(w, "the demo serves loopback host names only", http.StatusMisdirectedRequest)
		return
	}
	w.Header().Set("Content-Security-Policy", contentPolicy)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Cache-Control", "no-cache")
	p.handler.ServeHTTP(w, r)
}

// isLoopback reports whether a Host header names this machine. This rejects websites whose name resolves to 127.0.0.1.
func isLoopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]") // without a port
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// contentTypes of the page's files, independent of the system's MIME tables.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".json": "application/json",
}

// addFile adds a file that does not change while the demo runs. It is compressed once; every browser accepts gzip.
func addFile(routes *http.ServeMux, route string, content []byte) error {
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	w.Write(content)
	if err := w.Close(); err != nil { // the error of Write too
		return err
	}
	routes.HandleFunc("GET "+route, func(w http.ResponseWriter, r *http.Request) {
		served := content
		w.Header().Set("Content-Type", contentTypes[cmp.Or(path.Ext(route), ".html")])
		w.Header().Add("Vary", "Accept-Encoding")
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			w.Header().Set("Content-Encoding", "gzip")
			served = zipped.Bytes()
		}
		w.Write(served)
	})
	return nil
}

// addAssets adds the page's own files: index.html at the root, the others below /assets/.
func addAssets(routes *http.ServeMux) error {
	entries, err := pageFiles.ReadDir("page")
	for _, entry := range entries {
		content, errRead := pageFiles.ReadFile("page/" + entry.Name())
		route := "/assets/" + entry.Name()
		if entry.Name() == "index.html" {
			route = "/{$}"
		}
		err = errors.Join(err, errRead, addFile(routes, route, content))
	}
	return err
}

// addBundle adds /bundle.js, which defines the modules of all folders by name, each wrapped in a function as WeChat wraps
// a mini-program's.
func addBundle(routes *http.ServeMux, folders []fs.FS) error {
	var script bytes.Buffer
	script.WriteString("globalThis.modules = {\n")
	for _, folder := range folders {
		err := fs.WalkDir(folder, ".", func(file string, entry fs.DirEntry, err error) error {
			if err != nil || path.Ext(file) != ".js" {
				return err
			}
			content, err := fs.ReadFile(folder, file)
			fmt.Fprintf(&script, "%s(require, module, exports, wx) {\n%s\n},\n", quote(path.Base(file)), content)
			return err
		})
		if err != nil {
			return err
		}
	}
	script.WriteString("};\n")
	return addFile(routes, "/bundle.js", script.Bytes())
}
