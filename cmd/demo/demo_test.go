package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"wxlogin/wechat/wechattest"
)

func TestRun_once_walks_the_whole_flow(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"-once"}, &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d:\n%s%s", code, stdout.String(), stderr.String())
	}
	got := stdout.String()
	for _, want := range []string{
		"wx.login()", "POST /onLogin", `"isNewUser": true`, "wx.getUserInfo()", "POST /updateUserInfo", `"nickName": "Alice 🐼"`,
		`"isNewUser": false`, "SELECT … FROM user_profiles", "profile_complete: yes", "sealed with AES-256-GCM", `"anonymous": true`,
		`"code": "invalid_code"`, `"code": "invalid_token"`, "All 6 steps went as they should.",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the transcript lacks %q", want)
		}
	}
	// Codes are 32 hex digits, as request ids are; tokens and hashes of tokens 43 characters.
	ids := regexp.MustCompile(`"requestId": "[0-9a-f]{32}"`)
	if found := regexp.MustCompile(`[0-9A-Za-z_-]{32,}`).FindString(ids.ReplaceAllString(got, "")); found != "" {
		t.Errorf("the transcript holds a whole secret of %d characters", len(found))
	}
	if stderr.Len() != 0 {
		t.Errorf("stderr: %s", stderr.String())
	}
}

// urlsOf finds the addresses in what the demo prints of going on.
var urlsOf = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

func TestRun_stays_up_until_it_is_stopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reader, writer := io.Pipe()
	code := make(chan int)
	var stderr bytes.Buffer
	logFile := filepath.Join(t.TempDir(), "demo.log")
	go func() {
		code <- run(ctx, []string{"-log", logFile}, writer, &stderr)
		writer.Close()
	}()
	urls := readGoOn(t, reader)
	after := make(chan []byte)
	go func() {
		rest, _ := io.ReadAll(reader)
		after <- rest
	}()
	if len(urls) != 7 {
		t.Fatalf("%d addresses, want those of 6 curl commands and of the page", len(urls))
	}
	wxsim, public, internal, page := urls[0], urls[1], urls[5], urls[6]

	var login struct{ Code string }
	postForm(t, wxsim+"/sim/login", url.Values{"user": {"bob"}}, &login)
	var answer answer
	postForm(t, public+"/onLogin", url.Values{"code": {login.Code}}, &answer)
	if answer.Status != http.StatusOK || !answer.IsNewUser {
		t.Errorf("Bob logs in: %d", answer.Status)
	}
	var data wechattest.OpenData
	postForm(t, wxsim+"/sim/userinfo", url.Values{"user": {"bob"}}, &data)
	postForm(t, public+"/updateUserInfo", url.Values{
		"token": {answer.Token}, "encryptedData": {data.EncryptedData}, "iv": {data.IV},
	}, &answer)
	if answer.Status != http.StatusOK || answer.UserInfo.NickName != "bob" {
		t.Errorf("Bob's update: %d", answer.Status)
	}
	for _, address := range []string{internal + "/readyz", page} {
		res, err := http.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", address, res.StatusCode)
		}
	}
	cancel()
	if got := <-code; got != 0 {
		t.Errorf("exit code %d", got)
	}
	if rest := <-after; len(rest) != 0 || stderr.Len() != 0 {
		t.Errorf("after the page's address it printed %q and %q", rest, stderr.String())
	}
	if log, err := os.ReadFile(logFile); err != nil || !strings.Contains(string(log), "route=/onLogin") {
		t.Errorf("the log (%v) lacks the requests:\n%s", err, log)
	}
}

// pageLine is the last line of the output.
var pageLine = regexp.MustCompile(`\n\n  http://\S+/\n$`)

// readGoOn reads up to the page's address and returns the addresses that are printed after the walk.
func readGoOn(t *testing.T, r io.Reader) []string {
	t.Helper()
	var text strings.Builder
	buf := make([]byte, 4096)
	for !pageLine.MatchString(text.String()) {
		n, err := r.Read(buf)
		if err != nil {
			t.Fatalf("it ended: %v\n%s", err, text.String())
		}
		text.Write(buf[:n])
	}
	_, commands, _ := strings.Cut(text.String(), "The demo runs until")
	return urlsOf.FindAllString(commands, -1)
}

func postForm(t *testing.T, url string, form url.Values, into any) {
	t.Helper()
	res, err := http.PostForm(url, form)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
}

func TestWalk_that_fails_says_where(t *testing.T) {
	s, err := startStack(t.Context(), options{
		public: "127.0.0.1:0", internal: "127.0.0.1:0", mysql: "127.0.0.1:0", redis: "127.0.0.1:0", wxsim: "127.0.0.1:0",
		page: "127.0.0.1:0",
	}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	s.wechat.Fail(wechattest.Blocked)
	var out bytes.Buffer
	w := &walk{stack: s, out: printer{&out}}
	if err := w.run(t.Context()); err == nil || !strings.Contains(err.Error(), "step 1") {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(out.String(), "FAILED want a token") || strings.Contains(out.String(), "as they should") {
		t.Errorf("the transcript does not say so:\n%s", out.String())
	}
}

func TestRun_refuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, tt := range map[string]struct {
		args []string
		code int
	}{
		"unknown_flag":     {[]string{"-x"}, 2},
		"argument":         {[]string{"now"}, 2},
		"mysql_elsewhere":  {[]string{"-once", "-mysql", "0.0.0.0:0"}, 2},
		"server_elsewhere": {[]string{"-once", "-addr", ":0"}, 2},
		"unwritable_log":   {[]string{"-once", "-log", t.TempDir()}, 1},
		"taken_port":       {[]string{"-once", "-wxsim", taken.Addr().String()}, 1},
		"help":             {[]string{"-help"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if got := run(t.Context(), tt.args, &out, &out); got != tt.code {
				t.Errorf("exit code %d, want %d: %s", got, tt.code, out.String())
			}
		})
	}
}
