package main

import (
	"bytes"
	"strings"
	"testing"

	"wxlogin/internal/testenv/mysqltest"
)

func TestMigrate_tells_the_versions(t *testing.T) {
	environ := []string{"MYSQL_DSN=" + mysqltest.New(t)}
	for _, want := range []string{"database migrated from version 0 to version 3", "database is already at version 3"} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), []string{"migrate"}, environ, &stdout, &stderr); code != exitOK {
			t.Fatalf("exit code %d: %s", code, stderr.String())
		}
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("it said %q, want %q", stdout.String(), want)
		}
	}
}
