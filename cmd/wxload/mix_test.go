package main

import (
	"math/rand/v2"
	"strings"
	"testing"
)

func TestParseMix(t *testing.T) {
	m, err := parseMix(" new=5, returning=60,logout=0")
	if want := (mix{returning: 60, newcomer: 5}); err != nil || m != want {
		t.Errorf("%v, %v", m, err)
	}
	if m, err := parseMix(defaultMix); err != nil || m.String() != defaultMix {
		t.Errorf("the default is read as %v, %v", m, err)
	}
}

func TestParseMix_names_every_fault(t *testing.T) {
	_, err := parseMix("returning=x,update=-1,new=1,new=2,sleep=3,logout,unchanged=1000001")
	if err == nil {
		t.Fatal("it is taken")
	}
	for _, want := range []string{"returning has", "update has", "new is there twice", `"sleep=3"`, "logout has", "unchanged has"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	for _, text := range []string{"", "returning=0", ","} {
		if _, err := parseMix(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestMix_choose_keeps_to_the_weights(t *testing.T) {
	m := mix{returning: 3, userInfo: 1}
	var chosen [actions]int
	rng := rand.New(rand.NewPCG(1, 2))
	for range 4000 {
		chosen[m.choose(rng)]++
	}
	if chosen[returning]+chosen[userInfo] != 4000 || chosen[returning] < 2800 || chosen[returning] > 3200 {
		t.Errorf("%v", chosen)
	}
}

func FuzzParseMix(f *testing.F) {
	for _, text := range []string{defaultMix, "new=1", " new = 1", "returning=1,returning=1", "=", "logout=99999999999999999999"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := parseMix(text)
		if err != nil {
			if m != (mix{}) {
				t.Errorf("%q is refused and read as %v", text, m)
			}
			return
		}
		if again, err := parseMix(m.String()); again != m || err != nil {
			t.Errorf("%q is read as %v, and that as %v, %v", text, m, again, err)
		}
		if m.sum() < 1 || m[m.choose(rand.New(rand.NewPCG(1, 2)))] == 0 {
			t.Errorf("%q lets nothing, or the wrong thing, be chosen", text)
		}
	})
}
