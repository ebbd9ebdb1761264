package bench

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"wxlogin/cmd/wxtest/internal/process"
	"wxlogin/cmd/wxtest/internal/report"
	"wxlogin/wechat/wechattest"
)

// kind is a kind of request.
type kind int

const (
	returning kind = iota
	newcomer
	capped
	changed
	unchanged
	introspect
	kinds
)

var kindNames = [kinds]string{"returning", "new", "capped", "changed", "unchanged", "introspect"}

func (k kind) String() string { return kindNames[k] }

// makeRequests makes the requests of a round, and returns where they go.
func (e *env) makeRequests(k kind, s *process.Server) (addr string, requests [][]byte) {
	n := e.requests
	if k == newcomer {
		n /= 3 // they wait for the disk
	}
	addr, path := s.Public, "/onLogin"
	switch k {
	case changed, unchanged:
		path = "/updateUserInfo"
	case introspect:
		addr, path = s.Internal, "/introspect"
	}
	for i := range n {
		requests = append(requests, e.post(path, i, e.form(k, s, i)))
	}
	return addr, requests
}

// form returns the body of request i.
func (e *env) form(k kind, s *process.Server, i int) url.Values {
	switch k {
	case returning:
		return url.Values{"code": {e.devices[i%len(e.devices)].Login()}}
	case capped:
		users := e.cappedUsers()
		return url.Values{"code": {users[i%len(users)].Login()}}
	case newcomer:
		e.newcomer++
		return url.Values{"code": {e.wechat.Device(appID, wechattest.User{Name: fmt.Sprint("new ", e.newcomer)}).Login()}}
	}
	tokens := e.tokens[s]
	form := url.Values{"token": {tokens[i%len(tokens)]}}
	if k == introspect {
		return form
	}
	device := e.devices[i%len(tokens)]
	if k == changed {
		e.newcomer++
		name := fmt.Sprint("user ", i%len(tokens)*(e.rows/len(e.devices)))
		device = e.wechat.Device(appID, wechattest.User{Name: name, Info: wechattest.Info{
			NickName: fmt.Sprint("nickname ", e.newcomer), Gender: 1, Language: "zh_CN", City: "Guangzhou", Province: "Guangdong", Country: "China",
			AvatarURL: "https://thirdwx.qlogo.cn/mmopen/vi_32/DYAIOgq83eoj0hHXhgJNOTSOFsS4uZs8x1ConecaVOB8eIl115xmJZcT4oCicvia7wMEufibKtTLqiaJeanU2Lpg3w/132",
		}})
	}
	data := device.GetUserInfo()
	form.Set("encryptedData", data.EncryptedData)
	form.Set("iv", data.IV)
	return form
}

// post returns a whole request as a mini-program sends it through a proxy, from an address of its own.
func (e *env) post(path string, i int, form url.Values) []byte {
	body, bearer := form.Encode(), e.key
	if form.Has("token") && form.Has("iv") {
		bearer = form.Get("token")
	}
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: wxlogin\r\nAuthorization: Bearer %s\r\nX-Forwarded-For: 10.%d.%d.%d\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
		path, bearer, i>>16&255, i>>8&255, i&255, len(body), body)
}

// logIn makes the sessions for updates, on each server: enough that none comes near its rate limit.
func (e *env) logIn(ctx context.Context) error {
	for _, s := range e.servers() {
		requests := make([][]byte, min(e.requests, len(e.devices)))
		for i := range requests {
			requests[i] = e.post("/onLogin", i, e.form(returning, s, i))
		}
		tokens, errs := make([]string, len(requests)), make([]error, len(requests))
		_, err := connections{min(8, e.connections), 0}.drive(ctx, s.Public, requests, func(i int, body []byte) {
			var answer struct{ Token string }
			errs[i] = json.Unmarshal(body, &answer)
			tokens[i] = answer.Token
		})
		if err := cmp.Or(err, errors.Join(errs...)); err != nil {
			return fmt.Errorf("%s: logins before the rounds: %w", s.Name, err)
		}
		e.tokens[s] = tokens
	}
	return nil
}

// requestTimeout is far above what a request takes.
const requestTimeout = 20 * time.Second

// connections send requests, each its next one a pause after the last response.
type connections struct {
	n     int
	pause time.Duration
}

// drive sends requests, and returns how long each took. The first response other than 200 ends it with an error. If keep is not
// nil, it gets each body, concurrently.
func (c connections) drive(ctx context.Context, addr string, requests [][]byte, keep func(i int, body []byte)) ([]time.Duration, error) {
	took := make([]time.Duration, len(requests))
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range min(c.n, len(requests)) {
		group.Go(func() error { return c.driveOne(ctx, addr, requests, took, &next, keep) })
	}
	err := group.Wait()
	return took, err
}

// driveOne is one connection. It writes whole requests and reads responses without an HTTP client in between, which would take
// as much of the machine as the server does.
func (c connections) driveOne(ctx context.Context, addr string, requests [][]byte, took []time.Duration, next *atomic.Int64, keep func(int, []byte)) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	responses := bufio.NewReader(conn)
	for pause := time.Duration(rand.Float64() * float64(c.pause)); process.Sleep(ctx, pause); pause = c.pause {
		i := int(next.Add(1)) - 1
		if i >= len(requests) {
			return nil
		}
		begun := time.Now()
		if err := conn.SetDeadline(begun.Add(requestTimeout)); err != nil {
			return err
		}
		if _, err := conn.Write(requests[i]); err != nil {
			return err
		}
		body, err := readResponse(responses)
		if err != nil {
			return err
		}
		took[i] = time.Since(begun)
		if keep != nil {
			keep(i, body)
		}
	}
	return ctx.Err()
}

func readResponse(from *bufio.Reader) ([]byte, error) {
	resp, err := http.ReadResponse(from, nil)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("the server answers %d: %s", resp.StatusCode, bytes.TrimSpace(body))
	}
	return body, errors.Join(err, resp.Body.Close())
}

// round is what one round cost, or the medians of several. All but the first three are of one request.
type round struct {
	PerSecond  float64 `json:"perSecond"`
	P50        float64 `json:"p50Ms"`
	P99        float64 `json:"p99Ms"`
	CPU        float64 `json:"cpuUs"`
	MySQLCPU   float64 `json:"mysqlCpuUs"`
	RedisCPU   float64 `json:"redisCpuUs"`
	Mallocs    float64 `json:"allocations"`
	Bytes      float64 `json:"allocatedBytes"`
	Statements float64 `json:"statements"`
	Commands   float64 `json:"redisCommands"`
}

// columns are the figures of a round, in the table's order.
var columns = []struct {
	name   string
	format string
	of     func(*round) *float64
}{
	{"req/s", "%.0f", func(r *round) *float64 { return &r.PerSecond }},
	{"p50 ms", "%.2f", func(r *round) *float64 { return &r.P50 }},
	{"p99 ms", "%.2f", func(r *round) *float64 { return &r.P99 }},
	{"CPU µs", "%.1f", func(r *round) *float64 { return &r.CPU }},
	{"MySQL µs", "%.1f", func(r *round) *float64 { return &r.MySQLCPU }},
	{"Redis µs", "%.1f", func(r *round) *float64 { return &r.RedisCPU }},
	{"allocs", "%.0f", func(r *round) *float64 { return &r.Mallocs }},
	{"bytes", "%.0f", func(r *round) *float64 { return &r.Bytes }},
	{"SQL", "%.2f", func(r *round) *float64 { return &r.Statements }},
	{"Redis cmds", "%.2f", func(r *round) *float64 { return &r.Commands }},
}

// newTable begins a table of rounds. head is above the beginnings of its rows.
func newTable(out io.Writer, head string) *tabwriter.Writer {
	table := report.Table(out)
	fmt.Fprint(table, head, "\t")
	for _, c := range columns {
		fmt.Fprint(table, c.name, "\t")
	}
	fmt.Fprintln(table)
	return table
}

// printRow adds a round to a table, in one format or, if that is empty, each figure in its column's.
func printRow(out io.Writer, begin string, r round, format string) {
	fmt.Fprint(out, begin, "\t")
	for _, c := range columns {
		fmt.Fprintf(out, cmp.Or(format, c.format)+"\t", *c.of(&r))
	}
	fmt.Fprintln(out)
}

// medians returns the median of each figure.
func medians(rounds []round) (m round) {
	for _, c := range columns {
		values := make([]float64, len(rounds))
		for i := range rounds {
			values[i] = *c.of(&rounds[i])
		}
		slices.Sort(values)
		n := len(values)
		*c.of(&m) = (values[(n-1)/2] + values[n/2]) / 2
	}
	return m
}

// ratios returns the median of the ratios of each pair of rounds.
func ratios(server, baseline []round) round {
	pairs := make([]round, len(server))
	for i := range server {
		for _, c := range columns {
			if other := *c.of(&baseline[i]); other != 0 {
				*c.of(&pairs[i]) = *c.of(&server[i]) / other
			}
		}
	}
	return medians(pairs)
}

// snapshot is what has been used until a moment.
type snapshot struct {
	work
	cpu            time.Duration
	mallocs, bytes float64
}

func (e *env) snapshot(ctx context.Context, s *process.Server) (snap snapshot, err error) {
	heap, err := process.Metrics(ctx, http.DefaultTransport, "http://"+s.Internal, "go_memstats_mallocs_total", "go_memstats_alloc_bytes_total")
	if err != nil {
		return snapshot{}, err
	}
	snap.mallocs, snap.bytes = heap[0], heap[1]
	if snap.work, err = e.storage.work(ctx); err != nil {
		return snapshot{}, err
	}
	snap.cpu, err = process.CPU(s.PID())
	return snap, err
}

// measure does one round of a kind on a server.
func (e *env) measure(ctx context.Context, k kind, s *process.Server) (round, error) {
	addr, requests := e.makeRequests(k, s)
	before, err := e.snapshot(ctx, s)
	if err != nil {
		return round{}, err
	}
	begun := time.Now()
	took, err := connections{e.connections, e.pause}.drive(ctx, addr, requests, nil)
	if err != nil {
		return round{}, fmt.Errorf("%s, %s: %w", s.Name, k, err)
	}
	lasted := time.Since(begun)
	after, err := e.snapshot(ctx, s)
	if err != nil {
		return round{}, err
	}
	latencies, n := report.NewHistogram(), float64(len(requests))
	for _, d := range took {
		latencies.Add(d)
	}
	micros := func(before, after time.Duration) float64 { return float64((after - before).Nanoseconds()) / 1e3 / n }
	return round{
		PerSecond: n / lasted.Seconds(), P50: report.Millis(latencies.Percentile(50)), P99: report.Millis(latencies.Percentile(99)),
		CPU: micros(before.cpu, after.cpu), MySQLCPU: micros(before.mysql, after.mysql), RedisCPU: micros(before.redis, after.redis),
		Mallocs: (after.mallocs - before.mallocs) / n, Bytes: (after.bytes - before.bytes) / n,
		Statements: float64(after.statements-before.statements) / n, Commands: float64(after.commands-before.commands) / n,
	}, nil
}

// profileSeconds is how long a CPU profile is taken.
const profileSeconds = 15

// startProfile begins to take a CPU profile if one is wanted. The returned function waits for its end.
func (e *env) startProfile(ctx context.Context) func() error {
	if e.profile == "" {
		return func() error { return nil }
	}
	var group errgroup.Group
	group.Go(func() error { return e.saveProfile(ctx) })
	return group.Wait
}

func (e *env) saveProfile(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*profileSeconds*time.Second)
	defer cancel()
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", e.server.Internal, profileSeconds)
	text, err := process.Get(ctx, http.DefaultTransport, url, e.key)
	if err != nil {
		return fmt.Errorf("the profile: %w", err)
	}
	return os.WriteFile(e.profile, text, 0o644)
}

// countEvery is how often wxlogin's goroutines are counted: rarely, because counting costs CPU too.
const countEvery = 500 * time.Millisecond

// countGoroutines counts wxlogin's goroutines from now on. The returned function ends that, and returns the highest number.
func (e *env) countGoroutines(ctx context.Context) func() float64 {
	ctx, cancel := context.WithCancel(ctx)
	highest := make(chan float64, 1)
	go func() {
		var most float64
		for process.Sleep(ctx, countEvery) {
			if values, err := process.Metrics(ctx, http.DefaultTransport, "http://"+e.server.Internal, "go_goroutines"); err == nil {
				most = max(most, values[0])
			}
		}
		highest <- most
	}()
	return func() float64 { cancel(); return <-highest }
}
