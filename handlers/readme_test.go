package handlers

import (
	"fmt"
	"os"
	"regexp"
	"testing"
)

// README's table of errors is the server's own.
func TestReadme_errors(t *testing.T) {
	for _, file := range []string{"../README.md", "../README.zh-CN.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		rows := regexp.MustCompile("(?m)^\\| (\\d{3}) \\| `([a-z_]+)` \\| ([a-z]+) \\|").FindAllStringSubmatch(string(text), -1)
		if len(rows) != len(problems) {
			t.Errorf("%s has %d errors, the server %d", file, len(rows), len(problems))
		}
		for _, row := range rows {
			p := problems[code(row[2])]
			if row[1] != fmt.Sprint(p.status) || row[3] != string(p.action) {
				t.Errorf("%s: %s is %d with action %s", file, row[2], p.status, p.action)
			}
		}
	}
}
