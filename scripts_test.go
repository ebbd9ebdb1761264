package wxlogin_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	scriptCall = regexp.MustCompile(`redis\.p?call\(\s*['"](\w+)['"]\s*,\s*([^,)]+)`)
	otherKey   = regexp.MustCompile(`KEYS\[[2-9]`)
)

// Some proxies in front of several Redis nodes, such as Alibaba Cloud's, accept a script only if its keys are in one slot
// and each command names its key as KEYS[n], not by a variable. Every script of the server has one key.
func TestRedisScripts_Keys(t *testing.T) {
	found := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && strings.HasSuffix(path, "testenv") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if otherKey.Match(text) {
			t.Errorf("%s: a script has another key than KEYS[1]", path)
		}
		for _, call := range scriptCall.FindAllStringSubmatch(string(text), -1) {
			found++
			if call[2] != "KEYS[1]" {
				t.Errorf("%s: %s of %s, want KEYS[1]", path, call[1], call[2])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 8 {
		t.Errorf("%d commands in scripts", found)
	}
}

// Parts of the output of govulncheck: JSON objects, one after the other.
const (
	vulnConfig  = "{\n  \"config\": {\"go_version\": \"go1.27.4\", \"scan_level\": \"symbol\"}\n}\n"
	vulnModules = "{\n  \"SBOM\": {\"modules\": [{\"path\": \"wxlogin\"}, {\"path\": \"stdlib\"}]}\n}\n"
	vulnEntry   = "{\n  \"osv\": {\"id\": \"GO-1\", \"summary\": \"A hole\", \"affected\": [{\"package\": {\"name\": \"stdlib\"}}]}\n}\n"
	vulnScan    = vulnConfig + vulnModules + vulnEntry
)

// vulnFinding returns a finding of GO-1 in a module. function is empty if the server does not reach it.
func vulnFinding(module, fixed, function string) string {
	return "{\n  \"finding\": {\"osv\": \"GO-1\", \"fixed_version\": \"" + fixed +
		"\", \"trace\": [{\"module\": \"" + module + "\", \"version\": \"v1.0.0\", \"function\": \"" + function + "\"}]}\n}\n"
}

// .ci/vulns-verdict.js decides whether what govulncheck found fails the run.
func TestVulnsVerdict(t *testing.T) {
	needs(t, "node")
	// A go command that can fetch nothing but these versions.
	bin := t.TempDir()
	script := "#!/bin/sh\n" +
		"case \"$GOTOOLCHAIN $*\" in\n\"go1.27.5 version\" | *\"list -m example.com/x@v1.2.0\") exit 0 ;;\nesac\nexit 1\n"
	if err := os.WriteFile(filepath.Join(bin, "go"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		findings string
		passes   bool
		says     string
	}{
		"passes without findings":                       {vulnScan, true, "0 reachable"},
		"passes what is not reachable":                  {vulnScan + vulnFinding("example.com/x", "v1.2.0", ""), true, "not reachable: GO-1"},
		"fails if a module has a fix":                   {vulnScan + vulnFinding("example.com/x", "v1.2.0", "F"), false, "NOT ok: fixed in v1.2.0: GO-1"},
		"fails if a release of Go has a fix":            {vulnScan + vulnFinding("stdlib", "v1.27.5", "F"), false, "NOT ok: fixed in v1.27.5: GO-1"},
		"names a fix in a module that cannot be had":    {vulnScan + vulnFinding("example.com/x", "v9.0.0", "F"), true, "cannot be had yet: GO-1"},
		"names a fix in a Go that cannot be had":        {vulnScan + vulnFinding("stdlib", "v1.27.6", "F"), true, "cannot be had yet: GO-1"},
		"names what has no fix":                         {vulnScan + vulnFinding("example.com/x", "", "F"), true, "no fix yet: GO-1"},
		"fails without any output of the scan":          {"", false, "NOT ok"},
		"fails without entries of the standard library": {vulnConfig + vulnModules, false, "NOT ok: the database"},
		"fails without modules":                         {vulnConfig + vulnEntry, false, "NOT ok: the scan did not load"},
		"fails for another Go than the one asked for": {
			strings.Replace(vulnScan, "1.27.4", "1.26.8", 1), false, "NOT ok: Go go1.26.8 was judged"},
		"fails for a scan of modules alone": {strings.Replace(vulnScan, "symbol", "module", 1), false, "NOT ok: the scan did not look"},
		"fails for output that is cut off":  {strings.TrimSuffix(vulnScan, "}\n"), false, "NOT ok"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(node, ".ci/vulns-verdict.js", "go1.27.4")
			cmd.Env = append(os.Environ(), "PATH="+bin)
			cmd.Stdin = strings.NewReader(test.findings)
			out, err := cmd.CombinedOutput()
			if passed := err == nil; passed != test.passes || !strings.Contains(string(out), test.says) {
				t.Errorf("passes: %v, want %v and %q:\n%s", passed, test.passes, test.says, out)
			}
		})
	}
}
