package examples_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	clientPackage = "../client/miniprogram"
	clientFile    = "miniprogram/utils/wxlogin.js"
)

// TestMiniProgram_client checks that the client which people copy was built from the source as it is, without what builds it: that
// needs npm. Comments that import types are not in it.
func TestMiniProgram_client(t *testing.T) {
	const rebuild = "run npm run build in client/miniprogram"
	built := readText(t, clientFile)
	modules, err := filepath.Glob(filepath.Join(clientPackage, "src", "*.js"))
	if err != nil || len(modules) == 0 {
		t.Fatalf("no source (%v)", err)
	}
	syntax := regexp.MustCompile(`(?m)^(import|export) \{[^}]*\}.*$|^/\*\*(\s*\*?\s*@import .*)+\n? ?\*/$|^export `)
	for _, module := range modules {
		for part := range strings.SplitSeq(syntax.ReplaceAllString(readText(t, module), ""), "\n\n") {
			part = strings.TrimPrefix(strings.TrimSpace(part), "// ")
			if filepath.Base(module) == "index.js" {
				_, part, _ = strings.Cut(part, "\n") // its first line has the version there
			}
			if !strings.Contains(built, part) {
				t.Errorf("%s lacks what %s has: %s\n%s", clientFile, filepath.Base(module), rebuild, part)
			}
		}
	}
	var manifest struct{ Version string }
	readJSON(t, filepath.Join(clientPackage, "package.json"), &manifest)
	if first, _, _ := strings.Cut(built, "\n"); !strings.Contains(first, " version "+manifest.Version+". ") {
		t.Errorf("%s begins with %q, and the package is version %s: %s", clientFile, first, manifest.Version, rebuild)
	}
}

func readText(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
