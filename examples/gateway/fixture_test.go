// Package gateway_test runs nginx's configurations and the service of this folder, unchanged but for addresses, around the real
// server.
package gateway_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"wxlogin/internal/testenv"
)

const (
	startTimeout = 30 * time.Second
	stopTimeout  = 20 * time.Second
)

// needs skips a test on a machine that lacks a program.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("NOTICE: %s is not on this machine, so this was not tested", p)
		}
	}
}

// process is a program that runs until the test ends.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed then
	log   testenv.Log
}

// run starts a program. If stdout is given, it gets each line that the program prints.
func run(t *testing.T, cmd *exec.Cmd, stdout func(line string)) *process {
	t.Helper()
	p := &process{cmd: cmd, ended: make(chan struct{})}
	read, write := io.Pipe()
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&p.log, write), &p.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for s := bufio.NewScanner(read); s.Scan(); {
			if stdout != nil {
				stdout(s.Text())
			}
		}
	}()
	go func() {
		cmd.Wait()
		write.Close()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.stop(t)
		if t.Failed() {
			t.Logf("%s says:\n%s", cmd.Path, p.log.String())
		}
	})
	return p
}

// stop ends the program by SIGTERM; it may have ended before.
func (p *process) stop(t *testing.T) {
	t.Helper()
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(stopTimeout):
		p.kill()
		t.Errorf("%s did not end within %v of SIGTERM", p.cmd.Path, stopTimeout)
	}
}

func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.ended
}

// awaitPort waits until a program accepts connections.
func (p *process) awaitPort(t *testing.T, addr string) {
	t.Helper()
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-p.ended:
			t.Fatalf("%s ended: %v", p.cmd.Path, p.cmd.ProcessState)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen: %v", p.cmd.Path, err)
		}
	}
}

// startNode starts the service on a free port, and returns its host:port.
func startNode(t *testing.T, way string, environ ...string) string {
	t.Helper()
	needs(t, "node")
	listening := make(chan string, 1)
	cmd := exec.Command("node", "service/service.js", way)
	cmd.Env = append(append(os.Environ(), "PORT=0"), environ...)
	p := run(t, cmd, func(line string) {
		if _, addr, found := strings.Cut(line, "listening on http://"); found {
			listening <- addr
		}
	})
	select {
	case addr := <-listening:
		return addr
	case <-p.ended:
		t.Fatalf("node ended: %v", p.cmd.ProcessState)
	case <-time.After(startTimeout):
		t.Fatal("node does not listen")
	}
	return ""
}

func startBehindGateway(t *testing.T) string { return startNode(t, "behind-gateway") }

func startOnItsOwn(t *testing.T, internal, key string) string {
	return "http://" + startNode(t, "on-its-own", "WXLOGIN_INTERNAL=http://"+internal, "INTERNAL_API_KEY="+key)
}

// gateway is a running nginx.
type gateway struct {
	*process
	url string
}

// startNginx runs nginx.conf or wxlogin.conf. change returns what this test makes of the text of all files.
func startNginx(t *testing.T, conf, key string, change func(text string) string) gateway {
	t.Helper()
	needs(t, "nginx")
	folder := t.TempDir()
	files, err := filepath.Glob("nginx/*.conf")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	addr := testenv.FreeAddr(t)
	for _, file := range files {
		text := change(readFile(t, file))
		writeFile(t, filepath.Join(folder, filepath.Base(file)), strings.ReplaceAll(text, "listen 127.0.0.1:8000", "listen "+addr))
	}
	writeFile(t, filepath.Join(folder, "api-key.conf"), "proxy_set_header X-Api-Key "+key+";\n")
	global := "daemon off;"
	if os.Geteuid() == 0 {
		global += " user root;" // other users cannot enter the test's folder
	}
	g := gateway{run(t, exec.Command("nginx", "-p", folder, "-c", filepath.Join(folder, conf), "-g", global), nil), "http://" + addr}
	g.awaitPort(t, addr)
	return g
}

// startVerifying runs nginx.conf between wxlogin's internal listener and a service.
func startVerifying(t *testing.T, internal, service, key string) gateway {
	t.Helper()
	return startNginx(t, "nginx.conf", key, strings.NewReplacer("127.0.0.1:9090", internal, "127.0.0.1:3000", service).Replace)
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// tap is a proxy that records requests.
type tap struct {
	addr string // host:port

	mu    sync.Mutex
	seen  []*http.Request // without their bodies
	body  int             // bytes of all bodies
	conns int
}

func startTap(t *testing.T, target string) *tap {
	t.Helper()
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: target})
	p := &tap{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		p.mu.Lock()
		p.seen = append(p.seen, r.Clone(r.Context()))
		p.body += len(body)
		p.mu.Unlock()
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		proxy.ServeHTTP(w, r)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.conns++
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	p.addr = server.Listener.Addr().String()
	return p
}

func (p *tap) requests() []*http.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen
}

// sums returns the numbers of connections and of bytes in bodies.
func (p *tap) sums() (conns, body int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.conns, p.body
}

// last returns the newest request.
func (p *tap) last(t *testing.T) *http.Request {
	t.Helper()
	seen := p.requests()
	if len(seen) == 0 {
		t.Fatal("no request came")
	}
	return seen[len(seen)-1]
}

// wantNothing checks that no request comes while f runs.
func (p *tap) wantNothing(t *testing.T, f func()) {
	t.Helper()
	before := len(p.requests())
	f()
	if n := len(p.requests()) - before; n != 0 {
		t.Errorf("%d requests reached the service", n)
	}
}
