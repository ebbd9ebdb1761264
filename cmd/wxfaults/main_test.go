package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	o, err := parse([]string{"-seed", "7", "-rounds", "1", "-keep", "-v", "-duration", "20s", "-latency", "1ms", "-logins", "3"}, io.Discard)
	if want := (options{7, 1, true, true, 20 * time.Second, time.Millisecond, 3}); err != nil || o != want {
		t.Errorf("%+v, %v", o, err)
	}
	o, err = parse(nil, io.Discard)
	if err != nil || o.logins != 32 || o.rounds != 2 || o.duration != time.Minute || o.latency != 50*time.Millisecond {
		t.Errorf("the defaults: %+v, %v", o, err)
	}
}

func TestRun_refuses_a_wrong_command_line(t *testing.T) {
	for name, args := range map[string][]string{
		"an_unknown_flag":   {"-nosuch"},
		"an_argument":       {"underload"},
		"a_seed_in_words":   {"-seed", "x"},
		"no_round":          {"-rounds", "0"},
		"a_short_overload":  {"overload", "-duration", "1s"},
		"a_long_overload":   {"overload", "-duration", "1h"},
		"a_negative_delay":  {"overload", "-latency", "-1s"},
		"no_logins":         {"overload", "-logins", "0"},
		"a_second_argument": {"overload", "now"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs strings.Builder
			if err := run(t.Context(), args, &out, &errs); exitCode(err) != 2 || out.Len() != 0 || errs.Len() == 0 {
				t.Errorf("%v, %q, %q", err, out.String(), errs.String())
			}
		})
	}
}

func TestExitCode(t *testing.T) {
	for _, test := range []struct {
		err  error
		want int
	}{
		{nil, 0}, {flag.ErrHelp, 0}, {errFailed, 1}, {errors.Join(errFailed, errors.New("and more")), 1}, {errors.New("x"), 1},
		{errUsage, 2}, {fmt.Errorf("mariadbd is %w", errMissing), 2},
	} {
		if got := exitCode(test.err); got != test.want {
			t.Errorf("%v: exit code %d, want %d", test.err, got, test.want)
		}
	}
}

func TestCheckInstalled_names_program_and_package(t *testing.T) {
	old := needed
	t.Cleanup(func() { needed = old })
	needed = append(needed[:0:0], old...)
	needed[0].program = "no-such-program"
	err := checkInstalled()
	want := "no-such-program is not installed (apt-get install mariadb-server)"
	if !errors.Is(err, errMissing) || !strings.Contains(err.Error(), want) {
		t.Error(err)
	}
}
