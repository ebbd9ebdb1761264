package main

import (
	"io"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	c, err := parse([]string{"-kinds", "changed, new", "-growth", "20000,1000000"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.kinds) != 2 || c.kinds[0] != changed || c.kinds[1] != newcomer || len(c.growth) != 2 || c.growth[1] != 1000000 {
		t.Errorf("%v, %v", c.kinds, c.growth)
	}
}

func TestParse_faults(t *testing.T) {
	for args, want := range map[string]string{
		"-kinds login":                    `-kinds: "login" is none of returning, new,`,
		"-growth 20000,x":                 `"x" is no number`,
		"-growth 30000,20000":             "not ascending",
		"-growth 10":                      "-growth: at least -people",
		"-rounds 0":                       "-rounds",
		"-connections 0":                  "-connections",
		"-requests 20":                    "-requests",
		"-people 30000":                   "-people",
		"-latency -1s":                    "-latency",
		"now":                             "unexpected arguments: now",
		"-connections 50000 -requests 10": "-people",
	} {
		if _, err := parse(strings.Fields(args), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}
