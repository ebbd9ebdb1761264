package handlers_test

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func readAPI(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The table of routes in docs/api.md has the operations of docs/openapi.yaml, with their listener and summary.
func TestOpenAPI_Routes(t *testing.T) {
	want, got := make(map[string]string), make(map[string]string)
	for name, o := range openAPI(t).operations() {
		want[name] = o.Tags[0] + ": " + o.Summary
	}
	row := regexp.MustCompile("(?m)^\\| \\[?`([A-Z]+ /[^`]*)`\\]?[^|]* \\| (public|internal) \\| (.+) \\|$")
	for _, m := range row.FindAllStringSubmatch(readAPI(t), -1) {
		got[m[1]] = m[2] + ": " + m[3]
	}
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s: docs/api.md has %q, docs/openapi.yaml %q", name, got[name], want[name])
		}
		delete(got, name)
	}
	if len(got) > 0 {
		t.Errorf("docs/openapi.yaml lacks %v", got)
	}
}

// The table of errors in docs/api.md has the statuses and actions of docs/openapi.yaml. Another test compares it with
// those of the server.
func TestOpenAPI_Codes(t *testing.T) {
	described := make(map[string]string)
	for _, schema := range openAPI(t).Components.Schemas {
		p := schema.Value.Properties
		if p["code"] != nil && p["code"].Value.Const != nil {
			described[p["code"].Value.Const.(string)] = fmt.Sprint(p["status"].Value.Const, " ", p["action"].Value.Const)
		}
	}
	rows := regexp.MustCompile("(?m)^\\| (\\d{3}) \\| `([a-z_]+)` \\| ([a-z]+) \\|").FindAllStringSubmatch(readAPI(t), -1)
	if len(rows) < 18 {
		t.Fatalf("docs/api.md has %d errors", len(rows))
	}
	for _, row := range rows {
		if got := row[1] + " " + row[3]; got != described[row[2]] {
			t.Errorf("%s: docs/api.md has %s, docs/openapi.yaml %s", row[2], got, described[row[2]])
		}
	}
}

// generalCodes are in no list of errors in docs/api.md, or only if there is more to say.
var generalCodes = []string{"internal", "request_too_large", "unsupported_media_type"}

// codesOf returns the codes of an operation, or of all operations of a path, but for the general ones.
func (d *description) codesOf(where string) map[string]bool {
	found := make(map[string]bool)
	for name, o := range d.operations() {
		if name != where && !strings.HasSuffix(name, " "+where) {
			continue
		}
		for _, response := range o.Responses.Map() {
			if problem := response.Value.Content["application/problem+json"]; problem != nil {
				maps.Copy(found, codes(problem.Schema.Value))
			}
		}
	}
	maps.DeleteFunc(found, func(code string, _ bool) bool { return slices.Contains(generalCodes, code) })
	return found
}

// If a section of docs/api.md lists errors, they are those of docs/openapi.yaml.
func TestOpenAPI_Errors(t *testing.T) {
	d := openAPI(t)
	lists := 0
	for section := range strings.SplitSeq(readAPI(t), "\n##") {
		title, text, _ := strings.Cut(section, "\n")
		title = strings.TrimLeft(title, "# ")
		list := regexp.MustCompile(`(?s)\nErrors: (.*?)(\n\n|$)`).FindStringSubmatch(text)
		want := d.codesOf(title)
		if list == nil || len(want) == 0 {
			continue
		}
		lists++
		got := make(map[string]bool)
		for _, m := range regexp.MustCompile("`([a-z_]+)`|those of `([^`]+)`").FindAllStringSubmatch(list[1], -1) {
			got[m[1]] = true
			maps.Copy(got, d.codesOf(m[2]))
		}
		maps.DeleteFunc(got, func(code string, _ bool) bool { return code == "" || slices.Contains(generalCodes, code) })
		if !maps.Equal(got, want) {
			t.Errorf("%s: docs/api.md lists %v, docs/openapi.yaml %v", title, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
		}
	}
	if lists < 10 {
		t.Errorf("docs/api.md lists the errors of %d routes", lists)
	}
}
