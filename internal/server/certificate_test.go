package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"wxlogin/internal/config"
	"wxlogin/internal/testenv"
)

// newPair returns a self-signed certificate with this name, and its key, in PEM.
func newPair(t *testing.T, name string) (certPEM, keyPEM []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
}

func writeFile(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// pairFiles writes a new pair to two files.
func pairFiles(t *testing.T, name string) config.TLS {
	t.Helper()
	dir := t.TempDir()
	c := config.TLS{CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key")}
	certPEM, keyPEM := newPair(t, name)
	writeFile(t, c.CertFile, certPEM)
	writeFile(t, c.KeyFile, keyPEM)
	return c
}

// tlsServer serves an empty 200. Its certificate is checked only if the test calls cert.check.
type tlsServer struct {
	t    *testing.T
	cert *certificate
	addr string
	log  testenv.Log
}

func newTLSServer(t *testing.T, c config.TLS) *tlsServer {
	t.Helper()
	s := &tlsServer{t: t}
	logger := config.Log{Format: "json"}.NewLogger(&s.log)
	var err error
	if s.cert, err = loadCertificate(c, certificateCheckInterval, logger); err != nil {
		t.Fatal(err)
	}
	l, err := newListener(listenerOptions{
		addr: "127.0.0.1:0", handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
		limits: defaultLimits, certificate: s.cert, logger: logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	go l.serve()
	t.Cleanup(func() { l.server.Close() })
	return s
}

// dial connects and returns the name in the server's certificate.
func (s *tlsServer) dial() (conn *tls.Conn, name string) {
	s.t.Helper()
	conn, err := tls.Dial("tcp", s.addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	return conn, conn.ConnectionState().PeerCertificates[0].Subject.CommonName
}

// checkAndWant checks the files and fails unless a new connection gets the certificate with this name.
func (s *tlsServer) checkAndWant(name string) {
	s.t.Helper()
	s.cert.check()
	if _, got := s.dial(); got != name {
		s.t.Errorf("a new connection gets the certificate %q, want %q", got, name)
	}
}

// wantLogged fails unless the log contains text this number of times.
func (s *tlsServer) wantLogged(times int, text string) {
	s.t.Helper()
	if got := strings.Count(s.log.String(), text); got != times {
		s.t.Errorf("%q is logged %d times, want %d", text, got, times)
	}
}

const (
	saysReloaded = "certificate reloaded"
	saysFailed   = "certificate reload failed, keeping the current one"
)

func TestCertificate_Check(t *testing.T) {
	t.Run("reloads the pair if its files change", func(t *testing.T) {
		files := pairFiles(t, "first")
		s := newTLSServer(t, files)
		open, name := s.dial()
		if name != "first" {
			t.Fatalf("the certificate is %q", name)
		}
		s.checkAndWant("first")
		s.wantLogged(0, saysReloaded)

		certPEM, keyPEM := newPair(t, "second")
		writeFile(t, files.CertFile, certPEM)
		writeFile(t, files.KeyFile, keyPEM)
		s.checkAndWant("second")
		s.checkAndWant("second")
		s.wantLogged(1, saysReloaded)

		if _, err := io.WriteString(open, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if response, err := io.ReadAll(open); err != nil || !strings.HasPrefix(string(response), "HTTP/1.1 200") {
			t.Errorf("an established connection: %q, %v", response, err)
		}
	})

	t.Run("reloads the pair if a link changes", func(t *testing.T) { // as Kubernetes replaces a mounted secret
		dir := t.TempDir()
		for _, version := range []string{"first", "second"} {
			if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
				t.Fatal(err)
			}
			certPEM, keyPEM := newPair(t, version)
			writeFile(t, filepath.Join(dir, version, "tls.crt"), certPEM)
			writeFile(t, filepath.Join(dir, version, "tls.key"), keyPEM)
		}
		point := func(version string) {
			t.Helper()
			if err := os.Symlink(version, filepath.Join(dir, "..tmp")); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")); err != nil {
				t.Fatal(err)
			}
		}
		point("first")
		files := config.TLS{CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key")}
		for _, file := range []string{files.CertFile, files.KeyFile} {
			if err := os.Symlink(filepath.Join("..data", filepath.Base(file)), file); err != nil {
				t.Fatal(err)
			}
		}
		s := newTLSServer(t, files)
		s.checkAndWant("first")
		point("second")
		s.checkAndWant("second")
	})

	t.Run("keeps the current pair while the files do not match", func(t *testing.T) {
		certPEM, keyPEM := newPair(t, "second")
		for name, damage := range map[string]func(t *testing.T, files config.TLS){
			"certificate first": func(t *testing.T, files config.TLS) { writeFile(t, files.CertFile, certPEM) },
			"key first":         func(t *testing.T, files config.TLS) { writeFile(t, files.KeyFile, keyPEM) },
			"half written":      func(t *testing.T, files config.TLS) { writeFile(t, files.CertFile, certPEM[:100]) },
			"empty":             func(t *testing.T, files config.TLS) { writeFile(t, files.KeyFile, nil) },
			"gone": func(t *testing.T, files config.TLS) {
				if err := os.Remove(files.KeyFile); err != nil {
					t.Fatal(err)
				}
			},
		} {
			t.Run(name, func(t *testing.T) {
				files := pairFiles(t, "first")
				s := newTLSServer(t, files)
				damage(t, files)
				s.checkAndWant("first")
				s.checkAndWant("first")
				s.wantLogged(1, saysFailed)
				s.wantLogged(0, saysReloaded)
				writeFile(t, files.CertFile, certPEM)
				writeFile(t, files.KeyFile, keyPEM)
				s.checkAndWant("second")
				s.wantLogged(1, saysFailed)
				s.wantLogged(1, saysReloaded)
			})
		}
	})

	// A repair may leave the files' time and size unchanged, for example that of a permission.
	t.Run("tries again although the files look unchanged", func(t *testing.T) {
		files := pairFiles(t, "first")
		s := newTLSServer(t, files)
		certPEM, keyPEM := newPair(t, "second")
		writeFile(t, files.CertFile, certPEM)
		writeFile(t, files.KeyFile, make([]byte, len(keyPEM)))
		info, err := os.Stat(files.KeyFile)
		if err != nil {
			t.Fatal(err)
		}
		s.checkAndWant("first")
		writeFile(t, files.KeyFile, keyPEM)
		if err := os.Chtimes(files.KeyFile, info.ModTime(), info.ModTime()); err != nil {
			t.Fatal(err)
		}
		s.checkAndWant("second")
	})
}

func TestCertificate_Run(t *testing.T) {
	t.Run("checks the files every interval until its context ends", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			files := pairFiles(t, "first")
			cert, err := loadCertificate(files, certificateCheckInterval, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			stop := startBackground(cert.run)
			renew := func(name string) {
				t.Helper()
				certPEM, keyPEM := newPair(t, name)
				writeFile(t, files.CertFile, certPEM)
				writeFile(t, files.KeyFile, keyPEM)
			}
			wantCurrent := func(name string) {
				t.Helper()
				synctest.Wait()
				if got := cert.current.Load().Leaf.Subject.CommonName; got != name {
					t.Errorf("the certificate is %q, want %q", got, name)
				}
			}
			renew("second")
			time.Sleep(certificateCheckInterval - time.Second)
			wantCurrent("first")
			time.Sleep(time.Second)
			wantCurrent("second")
			stop()
			renew("third")
			time.Sleep(time.Hour)
			wantCurrent("second")
		})
	})
	t.Run("is started by Start", func(t *testing.T) {
		files := pairFiles(t, "first")
		s := newTestServer(t, func(c *config.Config, o *Options) { c.TLS, o.certificateInterval = files, time.Millisecond })
		certPEM, keyPEM := newPair(t, "second")
		writeFile(t, files.CertFile, certPEM)
		writeFile(t, files.KeyFile, keyPEM)
		tlsClient := &tlsServer{t: t, addr: s.server.PublicAddr()}
		waitUntil(t, "the new certificate is used", func() bool {
			conn, name := tlsClient.dial()
			conn.Close()
			return name == "second"
		})
	})
}

// Every handshake gets a valid pair while the files are being written. The race detector checks the swap.
func TestCertificate_ConcurrentHandshakes(t *testing.T) {
	files := pairFiles(t, "first")
	s := newTLSServer(t, files)
	replaced := make(chan struct{})
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for {
				conn, err := tls.Dial("tcp", s.addr, &tls.Config{InsecureSkipVerify: true})
				if err != nil {
					t.Errorf("a handshake failed: %v", err)
					return
				}
				conn.Close()
				select {
				case <-replaced:
					return
				default:
				}
			}
		})
	}
	certPEM, keyPEM := newPair(t, "the last of all")
	for range 20 {
		otherCert, otherKey := newPair(t, "other")
		writeFile(t, files.CertFile, otherCert)
		s.cert.check()
		writeFile(t, files.KeyFile, otherKey)
		s.cert.check()
	}
	writeFile(t, files.CertFile, certPEM)
	writeFile(t, files.KeyFile, keyPEM)
	close(replaced)
	clients.Wait()
	s.checkAndWant("the last of all")
}

func TestListener_TLS(t *testing.T) {
	s := newTLSServer(t, pairFiles(t, "first"))
	old := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	if conn, err := tls.Dial("tcp", s.addr, old); err == nil {
		conn.Close()
		t.Error("TLS 1.1 is accepted")
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		conn, err := tls.Dial("tcp", s.addr, &tls.Config{InsecureSkipVerify: true, MaxVersion: version})
		if err != nil {
			t.Errorf("%s: %v", tls.VersionName(version), err)
			continue
		}
		conn.Close()
	}
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true,
	}}
	defer client.CloseIdleConnections()
	res, err := client.Get("https://" + s.addr)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.ProtoMajor != 1 || res.StatusCode != http.StatusOK || res.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%s %s", res.Proto, res.Status)
	}
	plain, err := http.Get("http://" + s.addr)
	if err != nil {
		t.Fatal(err)
	}
	plain.Body.Close()
	if plain.StatusCode != http.StatusBadRequest {
		t.Errorf("plain HTTP: %s", plain.Status)
	}
}

func TestStart_UnusableCertificate(t *testing.T) {
	otherCert, _ := newPair(t, "other")
	for name, tt := range map[string]struct {
		change func(t *testing.T, files *config.TLS)
		names  []string
	}{
		"no certificate": {func(_ *testing.T, files *config.TLS) { files.CertFile += "x" }, []string{"TLS_CERT_FILE"}},
		"no key":         {func(_ *testing.T, files *config.TLS) { files.KeyFile += "x" }, []string{"TLS_KEY_FILE"}},
		"mismatch": {func(t *testing.T, files *config.TLS) { writeFile(t, files.CertFile, otherCert) },
			[]string{"TLS_CERT_FILE", "TLS_KEY_FILE"}},
		"no pem": {func(t *testing.T, files *config.TLS) { writeFile(t, files.KeyFile, []byte("k3y")) },
			[]string{"TLS_CERT_FILE", "TLS_KEY_FILE"}},
	} {
		t.Run(name, func(t *testing.T) {
			files := pairFiles(t, "first")
			tt.change(t, &files)
			_, err := Start(t.Context(), config.Config{TLS: files}, Options{Logger: slog.New(slog.DiscardHandler)})
			if !errors.Is(err, ErrCertificate) {
				t.Fatalf("Start: %v", err)
			}
			for _, name := range tt.names {
				if !strings.Contains(err.Error(), name) {
					t.Errorf("the error does not name %s: %v", name, err)
				}
			}
			if strings.Contains(err.Error(), "k3y") {
				t.Error("the error shows the content of the key's file")
			}
		})
	}
}
