package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"testing"

	"wxlogin/cmd/wxtest/internal/cli"
)

func TestRun(t *testing.T) {
	for name, test := range map[string]struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		"help":                       {[]string{"-help"}, 0, "load | faults | bench", ""},
		"help_of_a_subcommand":       {[]string{"load", "-help"}, 0, "-max-errors", ""},
		"no_subcommand":              {nil, 2, "", "load | faults | bench"},
		"an_unknown_subcommand":      {[]string{"overload"}, 2, "", "load | faults | bench"},
		"an_unknown_flag":            {[]string{"faults", "-nosuch"}, 2, "", "wxtest faults: flag provided but not defined: -nosuch"},
		"an_argument":                {[]string{"bench", "now"}, 2, "", "wxtest bench: unexpected arguments: now"},
		"several_wrong_flags":        {[]string{"bench", "-rounds", "0", "-connections", "x"}, 2, "", "-connections must be"},
		"a_seed_in_words":            {[]string{"faults", "-seed", "x"}, 2, "", "-seed"},
		"no_round":                   {[]string{"faults", "-rounds", "0"}, 2, "", "-rounds must be from 1 to 3"},
		"too_many_rounds":            {[]string{"faults", "-rounds", "4"}, 2, "", "-rounds must be from 1 to 3"},
		"a_flag_of_another_command":  {[]string{"faults", "-rate", "1"}, 2, "", "-rate"},
		"a_failure_before_it_begins": {[]string{"bench", "-mysql", "x", "-wxlogin", "y", "-alone"}, 1, "", "-mysql is not of the form"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr strings.Builder
			code := run(t.Context(), test.args, &stdout, &stderr)
			if code != test.code || !strings.Contains(stdout.String(), test.stdout) || !strings.Contains(stderr.String(), test.stderr) {
				t.Errorf("exit code %d\n%s\n%s", code, stdout.String(), stderr.String())
			}
			if test.stdout == "" && stdout.Len() > 0 || test.stderr == "" && stderr.Len() > 0 {
				t.Errorf("unexpected output:\n%s\n%s", stdout.String(), stderr.String())
			}
		})
	}
}

func TestCode(t *testing.T) {
	for _, test := range []struct {
		err    error
		want   int
		stderr string
	}{
		{nil, 0, ""}, {flag.ErrHelp, 0, ""}, {cli.ErrFailed, 1, ""}, {cli.ErrUsage, 2, ""},
		{errors.Join(cli.ErrFailed, errors.New("and more")), 1, "and more"}, {errors.New("x"), 1, "wxtest: x"},
		{fmt.Errorf("mariadbd is %w", cli.ErrMissing), 2, "wxtest: mariadbd is not installed"},
		{fmt.Errorf("step: %w", context.Canceled), 1, "wxtest: interrupted"},
	} {
		var stderr strings.Builder
		if got := cli.Code(test.err, &stderr); got != test.want || !strings.Contains(stderr.String(), test.stderr) || (test.stderr == "") != (stderr.Len() == 0) {
			t.Errorf("%v: exit code %d, want %d; %q", test.err, got, test.want, stderr.String())
		}
	}
}
