// Package probe checks the health of a server on this machine:
//
//	err := probe.Get(ctx, ":9090", "/readyz")
//
// Commands use it as the health check of their containers, whose images have no curl. It imports nothing of this module.
package probe

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// timeout is longer than a server's own checks, which run at the same time and take up to a second.
	timeout = 3 * time.Second
	// maxBody is the length of a response's body in the error, in bytes.
	maxBody = 4 << 10
)

// Get requests a path of the server that listens on addr (host:port; the host may be empty). It returns nil if the
// response is 200 within 3 s, and otherwise an error with the response's body. It uses no proxy.
func Get(ctx context.Context, addr, path string) error {
	host, err := localAddr(addr)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	target := url.URL{Scheme: "http", Host: host, Path: path}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return err
	}
	direct := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := direct.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(res.Body, maxBody)) // a partial body is better than none
		return fmt.Errorf("HTTP status %d: %s", res.StatusCode, strings.TrimSpace(string(body)))
	}
	return nil
}

// localAddr returns the address at which this machine reaches a server that listens on addr. An address for all
// interfaces becomes 127.0.0.1.
func localAddr(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}
