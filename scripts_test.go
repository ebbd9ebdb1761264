package wxlogin_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	scriptCall = regexp.MustCompile(`redis\.p?call\(\s*['"](\w+)['"]\s*,\s*([^,)]+)`)
	otherKey   = regexp.MustCompile(`KEYS\[[2-9]`)
)

// Proxies in front of several Redis nodes (of Alibaba Cloud, for example) take a script only if its keys are in one slot and
// each command names its key as KEYS[n], not by a variable. Every script of the server has one key.
func TestScripts_name_their_only_key(t *testing.T) {
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
