package main

import (
	"net"
	"net/http"
	"net/url"

	"wxlogin/examples"
	"wxlogin/internal/demopage"
	"wxlogin/wechat/wechattest"
)

// The second mini-program of the page's phone.
const (
	secondAppID  = "wx000000000001demo"
	secondSecret = "demosecret0000000000000000000001"
)

// page is the web page's server. Its address is known before it serves: pictures are served below it.
type page struct {
	listener net.Listener
	http     *http.Server
}

func (s *stack) listenForPage(addr string) (err error) {
	if s.page.listener, err = net.Listen("tcp", addr); err != nil {
		return err
	}
	s.pageURL = "http://" + s.page.listener.Addr().String()
	return nil
}

// servePage serves the page, when everything that it shows is there.
func (s *stack) servePage() error {
	handler, err := demopage.New(demopage.Options{
		Wire: s.wire, WeChat: s.wechat, Server: &url.URL{Scheme: "http", Host: s.server.PublicAddr()},
		MySQL: s.storage.MySQL, Redis: s.storage.Redis,
		AppIDs: []string{wechattest.DemoAppID, secondAppID}, MiniProgram: examples.MiniProgram(), Phone: examples.Phone(),
	})
	if err != nil {
		return err
	}
	s.page.http = &http.Server{Handler: handler, ReadHeaderTimeout: stopTimeout}
	go s.page.http.Serve(s.page.listener) // ends with http.ErrServerClosed in close
	return nil
}

// close ends the page in any state; the event streams of browsers end with it.
func (p *page) close() error {
	if p.http != nil {
		return p.http.Close()
	}
	if p.listener != nil {
		return p.listener.Close()
	}
	return nil
}
