package main

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"wxlogin/internal/config"
)

// The usage text names every variable of the configuration with its default, and no other variable.
func TestUsage(t *testing.T) {
	want := make(map[string]string)
	addVariables(reflect.TypeFor[config.Config](), want)
	want["OTEL_TRACES_EXPORTER"] = "none"
	got := make(map[string]string)
	for _, m := range regexp.MustCompile(`(?m)^  ([A-Z0-9_]+)(?: \*)? {2,}(.*)$`).FindAllStringSubmatch(usage, -1) {
		got[m[1]] = ""
		if bracket := regexp.MustCompile(`\[([^]]+)\]`).FindStringSubmatch(m[2]); bracket != nil {
			got[m[1]] = bracket[1]
		}
	}
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
	files := slices.DeleteFunc(slices.Collect(maps.Keys(want)), func(name string) bool {
		return len(config.UnknownVariables([]string{name + "_FILE=x"})) != 0
	})
	if len(secrets) < 8 || len(files) != len(secrets) {
		t.Errorf("%d variables are marked, and %d can be read from a file", len(secrets), len(files))
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
