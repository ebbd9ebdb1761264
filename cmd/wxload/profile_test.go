package main

import (
	"testing"

	"wxlogin/internal/contract"
)

// named is the profile of revision n, sealed in a second.
func named(n int, second int64) sealed {
	return sealed{UserInfo: contract.UserInfo{NickName: nickname("w1-1", n), AvatarURL: "a"}, from: second, to: second}
}

func TestProfile_allows(t *testing.T) {
	const user = "w1-1"
	first, second, third := named(1, 100), named(2, 100), named(3, 110)
	for name, test := range map[string]struct {
		happened func(*profile)
		allowed  []sealed
		refused  []sealed
	}{
		"what_was_acknowledged_last": {
			func(p *profile) { p.acknowledge(first); p.acknowledge(second) }, []sealed{second}, []sealed{first, third, {}}},
		"either_after_an_update_of_unknown_end": {
			func(p *profile) { p.acknowledge(first); p.suspect(second) }, []sealed{first, second}, []sealed{third, {}}},
		"no_older_one_after_a_later_update": {
			func(p *profile) { p.acknowledge(first); p.suspect(second); p.acknowledge(third) },
			[]sealed{third}, []sealed{first, second}},
		"one_of_the_same_second_after_a_later_update": {
			func(p *profile) { p.suspect(first); p.acknowledge(second) }, []sealed{first, second}, []sealed{third}},
		"an_earlier_one_after_an_update_that_changed_nothing": {
			func(p *profile) { p.acknowledge(first); p.suspect(second); p.acknowledgeUnchanged(named(1, 200)) },
			[]sealed{first, second}, []sealed{third}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newNewcomer(user, "").profile
			test.happened(&p)
			for _, data := range test.allowed {
				if !p.allows(user, data.UserInfo) {
					t.Errorf("not %q", data.UserInfo.NickName)
				}
			}
			for _, data := range append(test.refused, sealed{UserInfo: contract.UserInfo{NickName: nickname("w1-12", 1)}}) {
				if p.allows(user, data.UserInfo) {
					t.Errorf("%q", data.UserInfo.NickName)
				}
			}
		})
	}
}

// An outage must not make the list grow without end.
func TestProfile_allows_any_of_its_own_after_many_of_unknown_end(t *testing.T) {
	p := newNewcomer("w1-1", "").profile
	for n := range 1000 {
		p.suspect(named(n, 100))
	}
	if len(p.possible) > maxPossible || !p.allows("w1-1", named(3, 0).UserInfo) || p.allows("w1-2", named(3, 0).UserInfo) {
		t.Errorf("%d possible, any: %v", len(p.possible), p.anyOwn)
	}
	p.acknowledge(named(1000, 200))
	if p.allows("w1-1", named(3, 0).UserInfo) {
		t.Error("it is in doubt still after an update that was answered")
	}
}

func TestRevisionOf(t *testing.T) {
	if n, ok := revisionOf("w1-1", nickname("w1-1", 12)); n != 12 || !ok {
		t.Errorf("%d, %v", n, ok)
	}
	for _, name := range []string{"", "w1-1", "w1-1 r", "w1-1 r-1", "w1-1 rx", "w1-12 r1", "w1-1r1"} {
		if _, ok := revisionOf("w1-1", name); ok {
			t.Errorf("%q is its own", name)
		}
	}
}
