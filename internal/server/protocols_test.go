package server

import (
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The client of each case would rather speak HTTP/2.
func TestListener_Protocols(t *testing.T) {
	w := newWire(t, listenerLimits, func(c *Config) { c.TLS = pairFiles(t, "first") })
	insecure := func(protocols ...string) *tls.Config {
		return &tls.Config{InsecureSkipVerify: true, NextProtos: protocols}
	}

	t.Run("a TLS client that offers only h2 does not get it", func(t *testing.T) {
		conn, err := tls.Dial("tcp", w.server.PublicAddr(), insecure("h2"))
		if err != nil {
			return // no_application_protocol
		}
		defer conn.Close()
		if got := conn.ConnectionState().NegotiatedProtocol; got == "h2" {
			t.Error("h2 was negotiated")
		}
	})

	t.Run("a TLS client that prefers h2 gets HTTP/1.1", func(t *testing.T) {
		conn, err := tls.Dial("tcp", w.server.PublicAddr(), insecure("h2", "http/1.1"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if got := conn.ConnectionState().NegotiatedProtocol; got != "http/1.1" {
			t.Errorf("%q was negotiated", got)
		}
	})

	t.Run("HTTP/2 frames after a handshake without ALPN are not answered in HTTP/2", func(t *testing.T) {
		conn, err := tls.Dial("tcp", w.server.PublicAddr(), insecure())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		wantNoHTTP2(t, conn)
	})

	t.Run("net/http's client gets HTTP/1.1", func(t *testing.T) {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: insecure(), ForceAttemptHTTP2: true}}
		defer client.CloseIdleConnections()
		res, err := client.Get("https://" + w.server.PublicAddr() + "/onLogin")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.Proto != "HTTP/1.1" || res.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s %s", res.Proto, res.Status)
		}
	})
}

func TestListener_ProtocolsWithoutTLS(t *testing.T) {
	w := newWire(t, listenerLimits)
	internal := &wire{t: t, server: &Server{public: w.server.internal}}
	for name, on := range map[string]*wire{"public": w, "internal": internal} {
		t.Run("HTTP/2 with prior knowledge is refused on the "+name+" listener", func(t *testing.T) {
			wantNoHTTP2(t, on.dial())
		})
		t.Run("an upgrade to h2c is not taken on the "+name+" listener", func(t *testing.T) {
			conn := on.dial()
			_, err := io.WriteString(conn, head("GET /onLogin HTTP/1.1", "Host: x", "Connection: close, Upgrade, HTTP2-Settings",
				"Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")+end)
			if err != nil {
				t.Fatal(err)
			}
			if answer, _ := io.ReadAll(conn); !strings.HasPrefix(string(answer), "HTTP/1.1 4") {
				t.Errorf("answered %.40q", answer)
			}
		})
	}
}

// wantNoHTTP2 sends the preface and an empty SETTINGS frame, and wants an error in HTTP/1 and the end of the connection.
func wantNoHTTP2(t *testing.T, conn interface {
	io.ReadWriter
	SetDeadline(time.Time) error
}) {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	preface := "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	if _, err := io.WriteString(conn, preface); err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(conn) // a reset after the answer is an end too
	if !strings.HasPrefix(string(answer), "HTTP/1.1 ") || strings.HasPrefix(string(answer), "HTTP/1.1 2") {
		t.Errorf("answered %.40q", answer)
	}
}
