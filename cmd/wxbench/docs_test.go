package main

import (
	"io"
	"os"
	"strings"
	"testing"
)

// The commands that the page of figures gives are ones that this program takes.
func TestDocs_commands_are_taken(t *testing.T) {
	page, err := os.ReadFile("../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for line := range strings.Lines(string(page)) {
		args, ok := strings.CutPrefix(strings.TrimSpace(line), "go run ./cmd/wxbench")
		if !ok {
			continue
		}
		found++
		if _, err := parse(strings.Fields(args), io.Discard); err != nil {
			t.Errorf("%s: %v", strings.TrimSpace(line), err)
		}
	}
	if found < 4 {
		t.Errorf("%d commands", found)
	}
}
