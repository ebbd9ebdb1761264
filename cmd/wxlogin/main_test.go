package main

import (
	"bytes"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"wxlogin/internal/config"
)

func TestRun(t *testing.T) {
	tests := map[string]struct {
		args    []string
		environ []string
		code    int
		stdout  string
		stderr  string
	}{
		"version":               {[]string{"version"}, nil, exitOK, "wxlogin ", ""},
		"help":                  {[]string{"--help"}, nil, exitOK, "Usage: wxlogin", ""},
		"unknown":               {[]string{"server"}, nil, exitUsage, "", "Usage: wxlogin"},
		"too many":              {[]string{"serve", "now"}, nil, exitUsage, "", "Usage: wxlogin"},
		"migrate unset":         {[]string{"migrate"}, nil, exitUsage, "", "MYSQL_DSN is not set"},
		"migrate unreachable":   {[]string{"migrate"}, []string{"MYSQL_DSN=root@tcp(127.0.0.1:1)/x"}, exitFailed, "", "unavailable"},
		"healthcheck bad addr":  {[]string{"healthcheck"}, []string{"INTERNAL_ADDR=x"}, exitUsage, "", "INTERNAL_ADDR"},
		"healthcheck no server": {[]string{"healthcheck"}, []string{"INTERNAL_ADDR=127.0.0.1:1"}, exitFailed, "", "refused"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), tt.args, tt.environ, &stdout, &stderr)
			if code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if !strings.Contains(stdout.String(), tt.stdout) || !strings.Contains(stderr.String(), tt.stderr) {
				t.Errorf("stdout %q, stderr %q", stdout.String(), stderr.String())
			}
		})
	}
}

// The usage text names every variable of the configuration with its default, and no other variable.
func TestUsage(t *testing.T) {
	want := make(map[string]string)
	addVariables(reflect.TypeFor[config.Config](), want)
	got := make(map[string]string)
	for _, m := range regexp.MustCompile(`(?m)^  ([A-Z0-9_]+)(?: \*)? {2,}(.*)$`).FindAllStringSubmatch(usage, -1) {
		got[m[1]] = ""
		if bracket := regexp.MustCompile(`\[([^]]+)\]`).FindStringSubmatch(m[2]); bracket != nil {
			got[m[1]] = bracket[1]
		}
	}
	if got["OTEL_TRACES_EXPORTER"] != "none" {
		t.Error("usage does not list OTEL_TRACES_EXPORTER")
	}
	delete(got, "OTEL_TRACES_EXPORTER")
	if !reflect.DeepEqual(got, want) {
		t.Errorf("usage lists %v\nthe configuration has %v", got, want)
	}
	for line := range strings.Lines(usage) {
		if len(strings.TrimRight(line, "\n")) > 120 {
			t.Errorf("too long: %s", line)
		}
	}
	secrets := regexp.MustCompile(`(?m)^  ([A-Z0-9_]+) \*`).FindAllStringSubmatch(usage, -1)
	for _, m := range secrets {
		if got := config.UnknownVariables([]string{m[1] + "_FILE=x"}); len(got) != 0 {
			t.Errorf("%s cannot be read from a file", m[1])
		}
	}
	fromFiles := slices.DeleteFunc(slices.Collect(maps.Keys(want)), func(name string) bool {
		return len(config.UnknownVariables([]string{name + "_FILE=x"})) != 0
	})
	if len(secrets) < 8 || len(fromFiles) != len(secrets) {
		t.Errorf("%d variables are marked, and %d can be read from a file", len(secrets), len(fromFiles))
	}
}

// addVariables adds the variables of a configuration and their defaults.
func addVariables(c reflect.Type, variables map[string]string) {
	for f := range c.Fields() {
		if name, _, _ := strings.Cut(f.Tag.Get("env"), ","); name != "" {
			variables[name] = f.Tag.Get("envDefault")
		} else if f.Type.Kind() == reflect.Struct {
			addVariables(f.Type, variables)
		}
	}
}
