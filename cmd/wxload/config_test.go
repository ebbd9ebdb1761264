package main

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

var needed = []string{"-server", "http://a:1/", "-wechat", "http://w:1"}

func TestParse(t *testing.T) {
	t.Setenv("INTERNAL_API_KEY", "key of the environment")
	c, err := parse(append(slices.Clone(needed), "-server", "https://b, http://c/under", "-internal", "http://i:9090",
		"-phones", "3", "-users", "9", "-duration", "2m", "-warmup", "5s", "-rate", "12.5", "-seed", "7", "-json", "-",
		"-max-errors", "0.25", "-timeout", "3s", "-progress", "0s", "-appid", "wx1", "-mix", "introspect=1"), io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	want := config{
		servers: []string{"http://a:1", "https://b", "http://c/under"}, internals: []string{"http://i:9090"}, wechat: "http://w:1",
		internalKey: "key of the environment", appID: "wx1", phones: 3, users: 9, duration: 2 * time.Minute, warmup: 5 * time.Second,
		timeout: 3 * time.Second, rate: 12.5, mix: mix{introspect: 1}, seed: 7, json: "-", maxErrors: 0.25,
	}
	if !slices.Equal(c.servers, want.servers) || !slices.Equal(c.internals, want.internals) {
		t.Errorf("servers %v, internals %v", c.servers, c.internals)
	}
	c.servers, c.internals, want.servers, want.internals = nil, nil, nil, nil
	if got, want := c.settings(), want.settings(); got != want || c.wechat != "http://w:1" || c.internalKey != "key of the environment" {
		t.Errorf("%+v\nwant %+v", got, want)
	}
}

func TestParse_defaults(t *testing.T) {
	t.Setenv("INTERNAL_API_KEY", "")
	c, err := parse(needed, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if c.phones != 64 || c.users != 1024 || c.duration != 30*time.Second || c.rate != 0 || c.maxErrors != 0 || c.mix[introspect] != 0 {
		t.Errorf("%+v", c)
	}
	c, err = parse(append(slices.Clone(needed), "-internal", "http://i", "-internal-key", "k"), io.Discard, io.Discard)
	if err != nil || c.mix.String() != defaultMix || c.internalKey != "k" {
		t.Errorf("with an internal listener: %+v, %v", c, err)
	}
}

func TestParse_names_every_fault(t *testing.T) {
	var stdout, stderr bytes.Buffer
	err := run(t.Context(), []string{
		"-server", "a:1", "-internal", "ftp://i", "-phones", "0", "-users", "many", "-duration", "soon", "-warmup", "-1s", "-timeout", "0s",
		"-rate", "NaN", "-max-errors", "2", "-mix", "fly=1",
	}, &stdout, &stderr)
	if exitCode(err) != 2 || !errors.Is(err, errUsage) || stdout.Len() > 0 {
		t.Errorf("%v, %s", err, stdout.String())
	}
	for _, name := range []string{
		"server", "internal", "phones", "users", "duration", "warmup", "timeout", "rate", "max-errors", "mix", "wechat",
	} {
		if !strings.Contains(stderr.String(), "wxload: -"+name+" ") {
			t.Errorf("nothing is said about -%s:\n%s", name, stderr.String())
		}
	}
}

func TestParse_refuses(t *testing.T) {
	for name, args := range map[string][]string{
		"an_unknown_flag":               {"-nosuch"},
		"an_argument":                   {"now"},
		"a_seed_in_words":               {"-seed", "x"},
		"fewer_users_than_phones":       {"-phones", "9", "-users", "8"},
		"two_simulators":                {"-wechat", "http://v"},
		"introspection_without_a_place": {"-mix", "returning=1,introspect=1"},
		"a_url_with_a_password":         {"-server", "http://u:p@a"},
	} {
		t.Run(name, func(t *testing.T) {
			var stderr bytes.Buffer
			err := run(t.Context(), append(slices.Clone(needed), args...), io.Discard, &stderr)
			if exitCode(err) != 2 || !strings.HasPrefix(stderr.String(), "wxload: ") || strings.Contains(stderr.String(), "u:p") {
				t.Errorf("%v, %s", err, stderr.String())
			}
		})
	}
}

func TestParse_help(t *testing.T) {
	var stdout, stderr bytes.Buffer
	err := run(t.Context(), []string{"-help"}, &stdout, &stderr)
	if !errors.Is(err, flag.ErrHelp) || exitCode(err) != 0 || stderr.Len() > 0 {
		t.Errorf("%v, %s", err, stderr.String())
	}
	for _, want := range append(slices.Clone(actionNames[:]), "-server", "-max-errors", "INTERNAL_API_KEY", "30s") {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("the help does not name %s", want)
		}
	}
}
