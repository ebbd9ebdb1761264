package demopage

import (
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"

	"github.com/redis/go-redis/v9"

	"wxlogin/wechat/wechattest"
)

//go:embed page
var pageFiles embed.FS

// Options configures a Page. All fields are required.
type Options struct {
	Wire   *Wire                 // records the traffic between wxlogin and WeChat
	WeChat *wechattest.Simulator // the simulated WeChat
	Server *url.URL              // wxlogin's public listener
	MySQL  *sql.DB
	Redis  *redis.Client

	AppIDs      []string // the mini-programs on the phone
	MiniProgram fs.FS    // their code: app.json and the rest
	Phone       fs.FS    // the runtime for mini-programs in a browser
}

// Page serves the demo's page.
type Page struct {
	Options
	storage Storage
	proxy   http.Handler // to wxlogin
	handler http.Handler
}

// New returns a Page. It fails if the mini-program or the runtime cannot be read.
func New(o Options) (*Page, error) {
	p := &Page{
		Options: o, storage: Storage{MySQL: o.MySQL, Redis: o.Redis},
		proxy: &httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(o.Server) },
			ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
				http.Error(w, "wxlogin is unreachable", http.StatusBadGateway)
			},
		},
	}
	routes := http.NewServeMux()
	files, err := fs.Sub(pageFiles, "page")
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		addAssets(routes, files),
		addBundle(routes, "miniprogram", o.MiniProgram, "config.js"), // the page brings its own, which sends requests through the page
		addBundle(routes, "phone", o.Phone, "folder.js"),
	)
	if err != nil {
		return nil, err
	}
	routes.Handle("GET /avatars/", p.proxy)
	p.addPhones(routes)
	p.handler = http.NewCrossOriginProtection().Handler(routes)
	return p, nil
}

// addPhones adds the routes of a single phone.
func (p *Page) addPhones(routes *http.ServeMux) {
	routes.HandleFunc("/phones/{id}/server/", p.withPhone(p.forward))
	routes.HandleFunc("POST /phones/{id}/wechat/sim/{call}", p.withPhone(p.callWeChat))
	routes.HandleFunc("GET /phones/{id}/events", p.withPhone(p.streamEvents))
	routes.HandleFunc("GET /phones/{id}/state", p.withPhone(p.serveState))
	routes.HandleFunc("GET /phones/{id}/face", p.withPhone(p.serveAvatar))
	routes.HandleFunc("POST /phones/{id}/faults/{kind}", p.withPhone(p.injectFault))
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
