package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"wxlogin/internal/testenv/servertest"
	"wxlogin/wechat/wechattest"
)

const apiKey = servertest.APIKey

// real is a server with all that it needs.
type real struct{ public, internal, wechat string }

func startReal(t *testing.T) real {
	t.Helper()
	s := servertest.Start(t)
	return real{s.Public(), s.Internal(), s.WeChat}
}

// args are a command line for this server, at other addresses where these are given.
func (r real) args(public, internal string, more ...string) []string {
	args := []string{
		"-wechat", r.wechat, "-server", public, "-internal", internal, "-internal-key", apiKey, "-progress", "0s",
		"-phones", "4", "-users", "8", "-timeout", "1m",
	}
	return append(args, more...)
}

// runJSON runs the command and reads its result.
func runJSON(t *testing.T, ctx context.Context, args ...string) (result, int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := exitCode(run(ctx, append(args, "-json", "-"), &stdout, &stderr))
	var res result
	if err := json.Unmarshal(stdout.Bytes(), &res); err != nil {
		t.Fatalf("%v: %s%s", err, stdout.String(), stderr.String())
	}
	return res, code
}

// served counts the requests of a route by what the server's metrics say.
func served(t *testing.T, internal, path string) (n int64) {
	t.Helper()
	resp, err := http.Get(internal + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	pattern := `(?m)^wxlogin_http_requests_total\{route="` + regexp.QuoteMeta(path) + `",status="[0-9]+"\} (\S+)$`
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
		count, err := strconv.ParseFloat(match[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		n += int64(count)
	}
	return n
}

func TestRun_counts_as_the_server_does(t *testing.T) {
	server := startReal(t)
	const everything = "returning=5,new=2,update=5,unchanged=2,userinfo=3,introspect=3,logout=2"
	for name, loop := range map[string][]string{"closed": {"-appid", wechattest.DemoAppID}, "open": {"-rate", "200", "-warmup", "200ms"}} {
		t.Run(name, func(t *testing.T) {
			before := map[string]int64{}
			for _, path := range routePaths {
				before[path] = served(t, server.internal, path)
			}
			args := server.args(server.public+","+server.public, server.internal, append(loop, "-mix", everything, "-duration", "1s")...)
			res, code := runJSON(t, t.Context(), args...)
			if code != 0 || res.wrong() > 0 || len(res.Errors) > 0 || res.Simulator.Failures > 0 {
				t.Errorf("exit code %d, errors %+v, wrong answers %+v", code, res.Errors, res.WrongAnswers)
			}
			sent, all := map[string]int64{}, int64(0)
			for path, n := range res.Uncounted {
				sent[path] = n
			}
			for _, route := range res.Routes {
				sent[route.Route] += route.Requests
				all += route.Requests
			}
			if all != res.All.Requests || all == 0 {
				t.Errorf("%d requests by routes, %d in all", all, res.All.Requests)
			}
			for _, path := range routePaths {
				until := time.Now().Add(5 * time.Second) // the server counts a request after it has answered
				for served(t, server.internal, path)-before[path] != sent[path] && time.Now().Before(until) {
				}
				if got := served(t, server.internal, path) - before[path]; got != sent[path] {
					t.Errorf("%s: %d requests sent, %d counted by the server", path, sent[path], got)
				}
			}
		})
	}
}

// A crowd that the server knows from an earlier run, with its profiles, is known to the next one by its seed.
func TestRun_knows_the_crowd_of_an_earlier_run(t *testing.T) {
	server := startReal(t)
	for range 2 {
		res, code := runJSON(t, t.Context(), server.args(server.public, server.internal,
			"-seed", "7", "-mix", "returning=1,update=1,userinfo=1,new=1", "-duration", "500ms")...)
		if code != 0 || len(res.Errors) > 0 {
			t.Fatalf("errors %+v, wrong answers %+v", res.Errors, res.WrongAnswers)
		}
	}
}

func TestRun_without_an_internal_listener(t *testing.T) {
	server := startReal(t)
	res, code := runJSON(t, t.Context(), "-wechat", server.wechat, "-server", server.public, "-progress", "0s", "-phones", "2", "-users", "2",
		"-mix", "logout=1,userinfo=1", "-duration", "500ms")
	if code != 0 || len(res.Errors) > 0 {
		t.Errorf("errors %+v, wrong answers %+v", res.Errors, res.WrongAnswers)
	}
}

// Nothing that a run says holds a secret.
func TestRun_tells_no_secret(t *testing.T) {
	server := startReal(t)
	var stdout, stderr bytes.Buffer
	args := server.args(server.public, server.internal, "-internal-key", "the key of somebody else", "-mix", "introspect=1,returning=1", "-duration", "200ms")
	if code := exitCode(run(t.Context(), args, &stdout, &stderr)); code != 1 {
		t.Errorf("exit code %d", code)
	}
	out := stdout.String() + stderr.String()
	if !strings.Contains(out, "invalid_api_key") || strings.Contains(out, "somebody else") || strings.Contains(out, wechattest.DemoSecret) {
		t.Error(out)
	}
}
