package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	tests := map[string]struct {
		args    []string
		environ []string
		code    int
		stdout  string
		stderr  string
	}{
		"version":              {[]string{"version"}, nil, exitOK, "wxlogin ", ""},
		"help":                 {[]string{"--help"}, nil, exitOK, "Usage: wxlogin", ""},
		"unknown":              {[]string{"server"}, nil, exitUsage, "", "Usage: wxlogin"},
		"too_many":             {[]string{"serve", "now"}, nil, exitUsage, "", "Usage: wxlogin"},
		"migrate_unset":        {[]string{"migrate"}, nil, exitUsage, "", "MYSQL_DSN is not set"},
		"migrate_unreachable":  {[]string{"migrate"}, []string{"MYSQL_DSN=root@tcp(127.0.0.1:1)/x"}, exitFailed, "", "unavailable"},
		"healthcheck_bad_addr": {[]string{"healthcheck"}, []string{"INTERNAL_ADDR=x"}, exitUsage, "", "INTERNAL_ADDR"},
		"healthcheck_nobody":   {[]string{"healthcheck"}, []string{"INTERNAL_ADDR=127.0.0.1:1"}, exitFailed, "", "refused"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), tt.args, tt.environ, &stdout, &stderr)
			if code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if !strings.Contains(stdout.String(), tt.stdout) || !strings.Contains(stderr.String(), tt.stderr) {
				t.Errorf("it said %q and %q", stdout.String(), stderr.String())
			}
		})
	}
}
