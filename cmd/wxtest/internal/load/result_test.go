package load

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"wxlogin/cmd/wxtest/internal/cli"
	"wxlogin/cmd/wxtest/internal/player"
	"wxlogin/cmd/wxtest/internal/report"
	"wxlogin/internal/testenv/servertest"
)

// knownResult is of two seconds in which four requests were made, and of one before.
func knownResult(t *testing.T) result {
	t.Helper()
	c := configOf(t, "-phones", "2", "-users", "3", "-rate", "2.5", "-duration", "2s", "-warmup", "1s", "-seed", "7", "-mix", "returning=1,update=2")
	fails := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	l := newRun(c, transports{nil, inProcess{fails}})
	from := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	l.schedule = &schedule{rate: 2.5, start: from.Add(-time.Second), end: from.Add(2 * time.Second)}
	l.recorder.begin(from)
	l.simulator.Login(t.Context(), "w7-1") // fails
	for _, s := range []struct {
		route          player.Route
		due, lag, took time.Duration
		simulator      time.Duration
		verdict        player.Verdict
	}{
		{player.Login, -500 * time.Millisecond, 0, time.Second, 0, player.Verdict{}},
		{player.Login, 0, 0, 2 * time.Millisecond, 0, player.Verdict{}},
		{player.Login, 400 * time.Millisecond, 100 * time.Millisecond, 4 * time.Millisecond, 60 * time.Millisecond, player.Verdict{Code: "wechat_unavailable"}},
		{player.Update, 1200 * time.Millisecond, 0, 8 * time.Millisecond, 0, player.Verdict{Code: player.Cut}},
		{player.Update, 1600 * time.Millisecond, 0, 16 * time.Millisecond, 0, player.Verdict{Wrong: player.StaleProfile, Why: "it is old"}},
	} {
		due := from.Add(s.due)
		l.recorder.add(sample{
			route: s.route, due: due, sent: due.Add(s.lag), preparing: s.simulator, verdict: s.verdict, user: "w7-1",
			requestID: "r1", ended: due.Add(s.lag + s.took),
		})
	}
	return l.result(from, from.Add(2*time.Second))
}

const knownTable = `2 phones, 3 users, open loop of 2.5 actions a second, seed 7
mix returning=1,new=0,update=2,unchanged=0,userinfo=0,introspect=0,logout=0
2.0 s: 4 requests, 2.0/s, 2 errors (50.000%), 1 wrong answers

    latency in ms  requests   /s  errors  wrong   p50    p90    p99  p99.9    max
              all         4  2.0       2      1  8.00  44.00  44.00  44.00  44.00
         /onLogin         2  1.0       1      0  2.00  44.00  44.00  44.00  44.00
  /updateUserInfo         2  1.0       1      1  8.00  16.00  16.00  16.00  16.00

              errors  count  first at  last at
                 cut      1       1 s      1 s
  wechat_unavailable      1       0 s      0 s

WRONG ANSWERS: stale_profile, 1 times, first at 1 s, last at 1 s
    /updateUserInfo of w7-1 at 1 s, request r1: it is old

schedule: 5 due, 4 sent, 3 within 10 ms, 1 not sent; behind by p50 0.00 ms, p99 100.00 ms, max 100.00 ms
60 ms of waiting for the simulator are not in the latencies

The simulator failed 1 of 1 times.
`

func TestResult_print(t *testing.T) {
	var out bytes.Buffer
	knownResult(t).print(&out)
	if out.String() != knownTable {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), knownTable)
	}
}

const knownJSON = `{
  "settings": {"servers": 1, "internals": 0, "phones": 2, "users": 3, "rate": 2.5,
    "mix": "returning=1,new=0,update=2,unchanged=0,userinfo=0,introspect=0,logout=0", "seed": 7,
    "durationSeconds": 2, "warmupSeconds": 1, "timeoutSeconds": 10, "maxErrors": 0},
  "seconds": 2, "endedEarly": false,
  "all": {"route": "all", "requests": 4, "perSecond": 2, "errors": 2, "wrong": 1,
    "p50Ms": 8.003, "p90Ms": 44, "p99Ms": 44, "p999Ms": 44, "maxMs": 44},
  "succeeded": {"route": "succeeded", "requests": 1, "perSecond": 0.5, "errors": 0, "wrong": 0,
    "p50Ms": 2, "p90Ms": 2, "p99Ms": 2, "p999Ms": 2, "maxMs": 2},
  "routes": [
    {"route": "/onLogin", "requests": 2, "perSecond": 1, "errors": 1, "wrong": 0,
      "p50Ms": 2, "p90Ms": 44, "p99Ms": 44, "p999Ms": 44, "maxMs": 44},
    {"route": "/updateUserInfo", "requests": 2, "perSecond": 1, "errors": 1, "wrong": 1,
      "p50Ms": 8.003, "p90Ms": 16, "p99Ms": 16, "p999Ms": 16, "maxMs": 16}],
  "errorShare": 0.5,
  "errors": [{"code": "cut", "count": 1, "firstSecond": 1, "lastSecond": 1},
    {"code": "wechat_unavailable", "count": 1, "firstSecond": 0, "lastSecond": 0}],
  "wrongAnswers": [{"kind": "stale_profile", "count": 1, "firstSecond": 1, "lastSecond": 1,
    "examples": [{"second": 1, "route": "/updateUserInfo", "user": "w7-1", "requestId": "r1", "why": "it is old"}]}],
  "schedule": {"due": 5, "sent": 4, "onTime": 3, "unsent": 1, "lagP50Ms": 0, "lagP99Ms": 100, "lagMaxMs": 100, "waitedForSimulatorMs": 60},
  "simulator": {"requests": 1, "failures": 1},
  "uncounted": {"/onLogin": 1},
  "timeline": {"stepSeconds": 1, "moments": [
    {"second": 0, "requests": 2, "errors": {"wechat_unavailable": 1}, "p99Ms": 44},
    {"second": 1, "requests": 2, "errors": {"cut": 1}, "wrong": 1, "p99Ms": 16}]}
}`

func TestResult_JSON(t *testing.T) {
	var out, got, want bytes.Buffer
	if err := report.WriteJSON(&out, knownResult(t)); err != nil {
		t.Fatal(err)
	}
	if err := json.Compact(&got, out.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := json.Compact(&want, []byte(knownJSON)); err != nil {
		t.Fatal(err)
	}
	if got.String() != want.String() {
		t.Errorf("got:\n%s\nwant:\n%s", got.String(), want.String())
	}
}

func TestExitCode(t *testing.T) {
	sometimes := func(path, code string) func(*http.Request) *fakeAnswer {
		return func(r *http.Request) *fakeAnswer {
			if r.URL.Path != path {
				return nil
			}
			return problem(r, code)
		}
	}
	tampered := func(r *http.Request) *fakeAnswer {
		if r.URL.Path == "/onLogin" {
			return nil
		}
		info := player.Profile{NickName: "somebody"}
		return &fakeAnswer{200, userBody(info)}
	}
	for name, test := range map[string]struct {
		before func(*http.Request) *fakeAnswer
		args   []string
		want   int
		says   string
	}{
		"all_well":             {nil, nil, 0, "0 errors"},
		"errors":               {sometimes("/userInfo", "internal"), nil, 1, "internal"},
		"errors_as_allowed":    {sometimes("/userInfo", "internal"), []string{"-max-errors", "1"}, 0, "internal"},
		"wrong_answers":        {tampered, []string{"-max-errors", "1"}, 1, "WRONG ANSWERS: others_profile"},
		"no_user_logs_in":      {sometimes("/onLogin", "internal"), nil, 1, ""},
		"a_file_without_place": {nil, []string{"-json", filepath.Join(t.TempDir(), "no", "such")}, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := configOf(t, append([]string{"-phones", "1", "-users", "1", "-mix", "userinfo=1", "-duration", "20ms"}, test.args...)...)
			synctest.Test(t, func(t *testing.T) {
				var stdout bytes.Buffer
				servers := inProcess{&fake{takes: time.Millisecond, before: test.before}}
				err := runWith(t.Context(), c, transports{servers, inProcess{servertest.NewSimulator()}}, &stdout, io.Discard)
				if got := cli.Code(err, io.Discard); got != test.want || !strings.Contains(stdout.String(), test.says) {
					t.Errorf("%d, %v, %s", got, err, stdout.String())
				}
			})
		})
	}
}

func TestRun_writes_table_and_file(t *testing.T) {
	file := filepath.Join(t.TempDir(), "result.json")
	c := configOf(t, "-phones", "1", "-users", "1", "-mix", "userinfo=1", "-duration", "20ms", "-progress", "1ms", "-json", file)
	var stdout, stderr bytes.Buffer
	if err := runWith(t.Context(), c, transports{inProcess{&fake{}}, inProcess{servertest.NewSimulator()}}, &stdout, &stderr); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	var res result
	if err != nil || json.Unmarshal(text, &res) != nil || res.All.Requests == 0 || !strings.Contains(stdout.String(), "/userInfo") {
		t.Errorf("%v, %s, %s", err, text, stdout.String())
	}
	if !strings.Contains(stderr.String(), "p99") || !strings.Contains(stderr.String(), "wrong 0") {
		t.Errorf("no progress: %s", stderr.String())
	}
}
