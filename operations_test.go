package wxlogin_test

import (
	"strings"
	"testing"

	"wxlogin/internal/testenv/redistest"
)

// What operators are told to allow is what the tests run with.
func TestOperations_rights_in_Redis_are_the_tested_ones(t *testing.T) {
	page := read(t, "docs/operations.md")
	for _, line := range []string{
		"\nACL SETUSER wxlogin on >PASSWORD " + redistest.Rights + "\n",
		"\nACL SETUSER watcher on >PASSWORD " + redistest.SentinelRights + "\n",
	} {
		if !strings.Contains(page, line) {
			t.Errorf("docs/operations.md lacks%s", line)
		}
	}
}

// What operators are told to measure by is what there is.
func TestOperations_commands_are_known(t *testing.T) {
	for _, b := range blocks(t, "docs/operations.md", "sh", "console") {
		line, _, _ := strings.Cut(b.text, "\n")
		switch line {
		case "bash .ci/scale", "wxlogin sweep -dry-run": // .ci/run runs them
		case "$ TEST_REDIS_URL=redis://127.0.0.1:6379/0 BENCH_SESSIONS=1000,1000000 go test -run '^$' -bench Lookup_among ./session": // with fewer
		default:
			t.Errorf("nobody runs %s", line)
		}
	}
}
