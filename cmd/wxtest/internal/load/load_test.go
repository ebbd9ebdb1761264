package load

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"wxlogin/cmd/wxtest/internal/cli"
	"wxlogin/cmd/wxtest/internal/player"
)

var required = []string{"-server", "http://a:1/", "-wechat", "http://w:1"}

func TestParse(t *testing.T) {
	t.Setenv("INTERNAL_API_KEY", "key of the environment")
	c, err := parse(append(slices.Clone(required), "-server", "https://b, http://c/under", "-internal", "http://i:9090",
		"-phones", "3", "-users", "9", "-duration", "2m", "-warmup", "5s", "-rate", "12.5", "-seed", "7", "-json", "-",
		"-max-errors", "0.25", "-timeout", "3s", "-progress", "0s", "-appid", "wx1", "-mix", "introspect=1"), io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	want := options{
		servers: []string{"http://a:1", "https://b", "http://c/under"}, internals: []string{"http://i:9090"}, wechat: "http://w:1",
		internalKey: "key of the environment", appID: "wx1", phones: 3, users: 9, duration: 2 * time.Minute, warmup: 5 * time.Second,
		timeout: 3 * time.Second, rate: 12.5, mix: mix{player.Introspecting: 1}, seed: 7, json: "-", maxErrors: 0.25,
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
	c, err := parse(required, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if c.phones != 64 || c.users != 1024 || c.duration != 30*time.Second || c.rate != 0 || c.maxErrors != 0 || c.mix[player.Introspecting] != 0 {
		t.Errorf("%+v", c)
	}
	c, err = parse(append(slices.Clone(required), "-internal", "http://i", "-internal-key", "k"), io.Discard, io.Discard)
	if err != nil || c.mix.String() != defaultMix || c.internalKey != "k" {
		t.Errorf("with an internal listener: %+v, %v", c, err)
	}
}

func TestParse_names_every_fault(t *testing.T) {
	var stdout, stderr bytes.Buffer
	err := Run(t.Context(), []string{
		"-server", "a:1", "-internal", "ftp://i", "-phones", "0", "-users", "many", "-duration", "soon", "-warmup", "-1s", "-timeout", "0s",
		"-rate", "NaN", "-max-errors", "2", "-mix", "fly=1",
	}, &stdout, &stderr)
	if !errors.Is(err, cli.ErrUsage) || stdout.Len() > 0 {
		t.Errorf("%v, %s", err, stdout.String())
	}
	for _, name := range []string{
		"server", "internal", "phones", "users", "duration", "warmup", "timeout", "rate", "max-errors", "mix", "wechat",
	} {
		if !strings.Contains(stderr.String(), "wxtest load: -"+name+" ") {
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
		"an_overload_without_internal":  {"-overload", "32"},
		"an_overload_with_a_rate":       {"-overload", "32", "-internal", "http://i", "-rate", "1"},
		"an_overload_with_a_mix":        {"-overload", "32", "-internal", "http://i", "-mix", "new=1"},
		"a_short_overload":              {"-overload", "32", "-internal", "http://i", "-duration", "1s"},
		"no_logins":                     {"-overload", "-1", "-internal", "http://i"},
	} {
		t.Run(name, func(t *testing.T) {
			var stderr bytes.Buffer
			err := Run(t.Context(), append(slices.Clone(required), args...), io.Discard, &stderr)
			if !errors.Is(err, cli.ErrUsage) || !strings.HasPrefix(stderr.String(), "wxtest load: ") || strings.Contains(stderr.String(), "u:p") {
				t.Errorf("%v, %s", err, stderr.String())
			}
		})
	}
}

func TestParse_help(t *testing.T) {
	var stdout, stderr bytes.Buffer
	err := Run(t.Context(), []string{"-help"}, &stdout, &stderr)
	if !errors.Is(err, flag.ErrHelp) || stderr.Len() > 0 {
		t.Errorf("%v, %s", err, stderr.String())
	}
	for _, want := range append(slices.Clone(actionNames[:]), "-server", "-max-errors", "INTERNAL_API_KEY", "30s") {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("the help does not name %s", want)
		}
	}
}

func TestParseMix(t *testing.T) {
	m, err := parseMix(" new=5, returning=60,logout=0", true)
	if want := (mix{player.Returning: 60, player.Newcomer: 5}); err != nil || m != want {
		t.Errorf("%v, %v", m, err)
	}
	if m, err := parseMix(defaultMix, true); err != nil || m.String() != defaultMix {
		t.Errorf("the default is read as %v, %v", m, err)
	}
}

func TestParseMix_names_every_fault(t *testing.T) {
	_, err := parseMix("returning=x,update=-1,new=1,new=2,sleep=3,logout,unchanged=1000001", true)
	if err == nil {
		t.Fatal("it is taken")
	}
	for _, want := range []string{"returning has", "update has", "new is there twice", `"sleep=3"`, "logout has", "unchanged has"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	for _, text := range []string{" ", "returning=0", ","} {
		if _, err := parseMix(text, true); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestMix_choose_keeps_to_the_weights(t *testing.T) {
	m := mix{player.Returning: 3, player.Reading: 1}
	var chosen [player.Actions]int
	rng := rand.New(rand.NewPCG(1, 2))
	for range 4000 {
		chosen[m.choose(rng)]++
	}
	if chosen[player.Returning]+chosen[player.Reading] != 4000 || chosen[player.Returning] < 2800 || chosen[player.Returning] > 3200 {
		t.Errorf("%v", chosen)
	}
}

func FuzzParseMix(f *testing.F) {
	for _, text := range []string{defaultMix, "new=1", " new = 1", "returning=1,returning=1", "=", "logout=99999999999999999999"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := parseMix(text, true)
		if err != nil {
			if m != (mix{}) {
				t.Errorf("%q is refused and read as %v", text, m)
			}
			return
		}
		if again, err := parseMix(m.String(), true); again != m || err != nil {
			t.Errorf("%q is read as %v, and that as %v, %v", text, m, again, err)
		}
		if m.sum() < 1 || m[m.choose(rand.New(rand.NewPCG(1, 2)))] == 0 {
			t.Errorf("%q lets nothing, or the wrong thing, be chosen", text)
		}
	})
}
