package gateway_test

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wxlogin/internal/testenv"
	"wxlogin/internal/testenv/mysqltest"
	"wxlogin/internal/testenv/redistest"
	"wxlogin/internal/testenv/servertest"
	"wxlogin/wechat/wechattest"
)

// cluster is several processes of the built server behind nginx, on the same databases.
type cluster struct {
	sim       *wechattest.Simulator
	instances []*process
	gateway   gateway
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	needs(t, "nginx")
	c := &cluster{sim: servertest.NewSimulator()}
	sim := httptest.NewServer(c.sim)
	t.Cleanup(sim.Close)
	binary := buildServer(t)
	environ := append(os.Environ(),
		"WECHAT_APPID="+appID, "WECHAT_SECRET="+servertest.Secret, "WECHAT_API_BASE="+sim.URL, "AVATAR_DIR="+t.TempDir(),
		"PUBLIC_URL=http://127.0.0.1", "MYSQL_DSN="+mysqltest.NewWithSchema(t), "REDIS_URL="+redistest.NewServer(t).URL,
		"TRUSTED_PROXIES=127.0.0.1", "LOGIN_RATE_LIMIT=0", "UPDATE_RATE_LIMIT=0", "LOG_LEVEL=error")
	var addrs []string
	for range 2 {
		addr := testenv.FreeAddr(t)
		cmd := exec.Command(binary)
		cmd.Env = append(environ[:len(environ):len(environ)], "LISTEN_ADDR="+addr, "INTERNAL_ADDR="+testenv.FreeAddr(t))
		p := run(t, cmd, nil)
		p.awaitPort(t, addr)
		addrs, c.instances = append(addrs, addr), append(c.instances, p)
	}
	c.gateway = startBalancer(t, addrs[0], addrs[1])
	return c
}

// startBalancer runs wxlogin.conf in front of two instances.
func startBalancer(t *testing.T, first, second string) gateway {
	t.Helper()
	return startNginx(t, "wxlogin.conf", apiKey, strings.NewReplacer("127.0.0.1:8081", first, "127.0.0.1:8082", second).Replace)
}

func buildServer(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "wxlogin")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", binary, "wxlogin/cmd/wxlogin")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return binary
}

// mayMeet are the refusals that a correct client may get while an instance dies, with their actions.
var mayMeet = map[string]string{
	"400 invalid_code":        "relogin", // the dead instance has used the login's code
	"503 wechat_unavailable":  "retry",
	"503 storage_unavailable": "retry",
}

// send sends a request. ok reports whether the status is 200; fault is how the answer breaks the contract.
func (c *cluster) send(req *http.Request) (body []byte, ok bool, fault error) {
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, false, err
	}
	defer res.Body.Close()
	if body, err = io.ReadAll(res.Body); err != nil {
		return nil, false, err
	}
	var p problem
	if err := json.Unmarshal(body, &p); err != nil || p.Status != res.StatusCode {
		return nil, false, fmt.Errorf("status %d: %.200s", res.StatusCode, body)
	}
	if res.StatusCode == http.StatusOK {
		return body, true, nil
	}
	action, known := mayMeet[fmt.Sprintf("%d %s", p.Status, p.Code)]
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	after, _ := strconv.Atoi(res.Header.Get("Retry-After"))
	if !known || p.Action != action || media != "application/problem+json" || (action == "retry") != (after > 0) {
		return nil, false, fmt.Errorf("%+v of %s, Retry-After %d", p, media, after)
	}
	return nil, false, nil
}

func (c *cluster) login(name string) (token string, ok bool, fault error) {
	code := c.sim.Device(appID, wechattest.User{Name: name}).Login()
	form := strings.NewReader(url.Values{"code": {code}}.Encode())
	req, _ := http.NewRequest(http.MethodPost, c.gateway.url+"/onLogin", form)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	body, ok, fault := c.send(req)
	if !ok {
		return "", ok, fault
	}
	var answer struct{ Token string }
	return answer.Token, true, json.Unmarshal(body, &answer)
}

func (c *cluster) update(token, nickName string) (ok bool, fault error) {
	form := strings.NewReader(url.Values{"nickName": {nickName}}.Encode())
	req, _ := http.NewRequest(http.MethodPost, c.gateway.url+"/updateUserInfo", form)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "Bearer "+token)
	_, ok, fault = c.send(req)
	return ok, fault
}

// load logs users in and saves nicknames until it is stopped, and counts the results.
type load struct {
	stop           atomic.Bool
	good, refused  atomic.Int64
	workers        sync.WaitGroup
	mu             sync.Mutex
	contractFaults []error
}

func (l *load) count(ok bool, fault error) {
	switch {
	case fault != nil:
		l.mu.Lock()
		defer l.mu.Unlock()
		l.contractFaults = append(l.contractFaults, fault)
	case ok:
		l.good.Add(1)
	default:
		l.refused.Add(1)
	}
}

func (l *load) begin(c *cluster, workers int) {
	for worker := range workers {
		l.workers.Go(func() {
			for i := 0; !l.stop.Load(); i++ {
				name := fmt.Sprintf("user-%d-%d", worker, i%50)
				token, ok, fault := c.login(name)
				l.count(ok, fault)
				if ok {
					l.count(c.update(token, name))
				}
			}
		})
	}
}

// await waits until more requests have succeeded.
func (l *load) await(t *testing.T, more int64) {
	t.Helper()
	goal := l.good.Load() + more
	for deadline := time.Now().Add(time.Minute); l.good.Load() < goal; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d good answers of %d", l.good.Load(), goal)
		}
	}
}

// Clients notice that an instance is killed only by errors of the contract, and few of them.
func TestBalancer_InstanceKilled(t *testing.T) {
	c := startCluster(t)
	var l load
	l.begin(c, 16)
	l.await(t, 200)
	c.instances[0].kill()
	l.await(t, 400)
	l.stop.Store(true)
	l.workers.Wait()
	for _, fault := range l.contractFaults {
		t.Error(fault)
	}
	t.Logf("%d good answers, %d refused", l.good.Load(), l.refused.Load())
	if l.refused.Load() > l.good.Load()/10 {
		t.Errorf("%d good answers, but %d refused", l.good.Load(), l.refused.Load())
	}

	c.instances[1].kill()
	for range 3 {
		request{path: "/userInfo"}.to(t, c.gateway.url).wantProblem(t, 503, "storage_unavailable", "retry")
	}
}

func TestBalancer_OwnRefusalsAreProblems(t *testing.T) {
	wantOwnProblems(t, startBalancer(t, testenv.FreeAddr(t), testenv.FreeAddr(t)).url, 5<<20+1)
}

// A POST whose instance dies goes to the other one, complete, and with the client's true address.
func TestBalancer_RepeatsWhatIsNotAnswered(t *testing.T) {
	dying := httptest.NewServer(http.HandlerFunc(gone))
	t.Cleanup(dying.Close)
	var served atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %s", r.Method, r.URL, body, r.Header.Get("X-Forwarded-For"))
	}))
	t.Cleanup(other.Close)
	g := startBalancer(t, dying.Listener.Addr().String(), other.Listener.Addr().String())
	for range 10 {
		a := request{
			method: http.MethodPost, path: "/onLogin", body: "code=x", header: http.Header{"X-Forwarded-For": {"203.0.113.1"}},
		}.to(t, g.url)
		if a.status != http.StatusOK || string(a.body) != "POST /onLogin code=x 127.0.0.1" {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if served.Load() != 10 {
		t.Errorf("the other instance served %d", served.Load())
	}
}

// A 503 of an instance is not repeated by the other one: they share the databases that are the cause.
func TestBalancer_DoesNotRepeatRefusals(t *testing.T) {
	var asked atomic.Int64
	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		busy(w, r)
	}))
	t.Cleanup(busy.Close)
	addr := busy.Listener.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	g := startBalancer(t, addr, "localhost:"+port)
	for range 4 {
		request{path: "/userInfo"}.to(t, g.url).wantProblem(t, 503, "storage_unavailable", "retry")
	}
	if asked.Load() != 4 {
		t.Errorf("4 requests became %d", asked.Load())
	}
}

// A picture of the size that wxlogin takes passes.
func TestBalancer_LetsPicturesThrough(t *testing.T) {
	got := make(chan int, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- len(body)
	}))
	t.Cleanup(server.Close)
	g := startBalancer(t, server.Listener.Addr().String(), testenv.FreeAddr(t))
	const size = 4<<20 + 1000
	request{method: http.MethodPost, path: "/uploadAvatar", body: strings.Repeat("x", size)}.to(t, g.url)
	if n := <-got; n != size {
		t.Errorf("%d bytes came", n)
	}
}
