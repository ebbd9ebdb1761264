package examples_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	moduleRoot  = ".."
	miniprogram = "miniprogram"
	oldestNode  = 18 // the first with node:test and fetch
	nodeTimeout = 5 * time.Minute
)

// TestMiniProgram_flow runs the mini-program and its client against the demo, in Node.
func TestMiniProgram_flow(t *testing.T) {
	watchSources(t)
	runNode(t, nodeTimeout, filepath.Join("test", "*.test.js"))
}

// TestMiniProgram_walk lets a phone do at random what people do, while things go wrong: WALK_SECONDS long, the walk of
// WALK_SEED. It has a demo of its own, whose WeChat is busy at times.
func TestMiniProgram_walk(t *testing.T) {
	seconds, err := strconv.Atoi(cmp.Or(os.Getenv("WALK_SECONDS"), "10"))
	if err != nil {
		t.Fatalf("WALK_SECONDS: %v", err)
	}
	watchSources(t)
	runNode(t, nodeTimeout+time.Duration(seconds)*time.Second, filepath.Join("test", "walk", "*.test.js"))
}

// TestPage_in_a_browser clicks through the demo's page. It needs the packages of package.json (npm ci) and the path of
// Chromium in TEST_CHROMIUM. Its pictures are in screenshots then; those of README are copied from there:
//
//	TEST_CHROMIUM=$(command -v chromium) go test -run Page_in_a_browser ./examples && cp examples/screenshots/page*.png cmd/demo
func TestPage_in_a_browser(t *testing.T) {
	chromium := os.Getenv("TEST_CHROMIUM")
	if chromium == "" {
		t.Skip("NOT TESTED: the demo's page needs a browser, and TEST_CHROMIUM names none")
	}
	watchSources(t)
	runNode(t, 2*nodeTimeout, filepath.Join("test", "browser", "*.test.js"), "CHROMIUM="+chromium)
}

// TestMiniProgram_projects runs mini-programs of TypeScript, uni-app and Taro that have the packed client. TEST_PROJECTS is the folder in
// which they were built:
//
//	node client/miniprogram/test/projects/build.js /tmp/projects && TEST_PROJECTS=/tmp/projects go test -run MiniProgram_projects ./examples
func TestMiniProgram_projects(t *testing.T) {
	if os.Getenv("TEST_PROJECTS") == "" {
		t.Skip("NOT TESTED: projects are built with packages of npm, and TEST_PROJECTS names no folder with them")
	}
	watchSources(t)
	runNode(t, nodeTimeout, filepath.Join(clientPackage, "test", "projects.test.js"))
}

// runNode runs test files against a demo of their own.
func runNode(t *testing.T, timeout time.Duration, pattern string, environ ...string) {
	t.Helper()
	node := findNode(t)
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no test files (%v)", err)
	}
	at := startDemo(t)
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, append([]string{"--test"}, files...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // unlike SIGKILL it ends the test files too
	cmd.WaitDelay = stopTimeout
	cmd.Env = append(os.Environ(), "WXLOGIN_SERVER="+at.server, "WXLOGIN_SIMULATOR="+at.simulator, "WXLOGIN_PAGE="+at.page)
	cmd.Env = append(cmd.Env, environ...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("node --test: %v\n%s", err, redact(string(out)))
	}
}

// findNode skips the test where there is no Node that could run it.
func findNode(t *testing.T) string {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skipf("NOT TESTED: the mini-program's flow needs Node %d or newer, and there is none in PATH", oldestNode)
	}
	out, err := exec.Command(node, "--version").Output()
	if err != nil {
		t.Fatalf("node --version: %v", err)
	}
	var major int
	if _, err := fmt.Sscanf(string(out), "v%d.", &major); err != nil {
		t.Fatalf("node --version says %q", out)
	}
	if major < oldestNode {
		t.Skipf("NOT TESTED: the mini-program's flow needs Node %d or newer, and this is %s", oldestNode, bytes.TrimSpace(out))
	}
	return node
}

// TestMiniProgram_files checks what DevTools would refuse to open.
func TestMiniProgram_files(t *testing.T) {
	var app struct {
		Pages           []string `json:"pages"`
		SitemapLocation string   `json:"sitemapLocation"`
	}
	readJSON(t, filepath.Join(miniprogram, "app.json"), &app)
	if len(app.Pages) == 0 {
		t.Error("app.json names no page")
	}
	wanted := []string{"app.js", app.SitemapLocation}
	for _, page := range app.Pages {
		wanted = append(wanted, page+".js", page+".json", page+".wxml", page+".wxss")
	}
	for _, name := range wanted {
		if info, err := os.Stat(filepath.Join(miniprogram, name)); err != nil || !info.Mode().IsRegular() {
			t.Errorf("app.json needs the file %s", name)
		}
	}
}

func TestMiniProgram_json_parses(t *testing.T) {
	err := filepath.WalkDir(miniprogram, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".json" {
			readJSON(t, path, new(map[string]any))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func readJSON(t *testing.T, path string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(readText(t, path)), v); err != nil {
		t.Errorf("%s: %v", path, err)
	}
}

// TestClassic_fits_into_the_README checks the part of classic.js that documentation shows.
func TestClassic_fits_into_the_README(t *testing.T) {
	const begin, end, most = "// readme:begin\n", "// readme:end\n", 40 // lines
	text := readText(t, filepath.Join("test", "classic.js"))
	if strings.Count(text, begin) != 1 || strings.Count(text, end) != 1 {
		t.Fatal("classic.js must have its markers once")
	}
	_, core, _ := strings.Cut(text, begin)
	core, _, found := strings.Cut(core, end)
	if n := strings.Count(core, "\n"); !found || n == 0 || n > most {
		t.Errorf("the part between the markers has %d lines, want 1 to %d", n, most)
	}
}
