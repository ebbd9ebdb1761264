// Package probe asks a server on this machine whether it is well: the commands are their containers' health checks, for
// images that hold no curl. It imports nothing of this module.
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
	// timeout leaves a server's own checks, a second each side by side, their time.
	timeout = 3 * time.Second
	// maxShown is how much of a refusal goes into the error, in bytes.
	maxShown = 4 << 10
)

// Get asks a server that listens on addr (host:port, the host may be empty) for a path. It returns nil for an answer
// of 200 within 3 s, and otherwise an error that holds what the server said. No proxy is used.
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
		said, _ := io.ReadAll(io.LimitReader(res.Body, maxShown)) // half an answer still says more than none
		return fmt.Errorf("HTTP status %d: %s", res.StatusCode, strings.TrimSpace(string(said)))
	}
	return nil
}

// localAddr is where a server that listens on addr answers its own machine: an address that means every interface is no
// address to call.
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
