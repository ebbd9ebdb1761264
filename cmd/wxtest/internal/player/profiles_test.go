package player

import "testing"

// named is the profile of revision n, sealed in a second.
func named(n int, second int64) Sealed {
	return Sealed{UserInfo: Profile{NickName: Nickname("w1-1", n), AvatarURL: "a"}, Watermark: Watermark{second, second}}
}

func TestProfiles_allow(t *testing.T) {
	const user = "w1-1"
	first, second, third := named(1, 100), named(2, 100), named(3, 110)
	for name, test := range map[string]struct {
		happened func(*profiles)
		allowed  []Sealed
		refused  []Sealed
	}{
		"what_was_acknowledged_last": {
			func(p *profiles) { p.acknowledge(first, true); p.acknowledge(second, true) }, []Sealed{second}, []Sealed{first, third, {}}},
		"either_after_an_update_of_unknown_outcome": {
			func(p *profiles) { p.acknowledge(first, true); p.markUncertain(second) }, []Sealed{first, second}, []Sealed{third, {}}},
		"no_older_one_after_a_later_update": {
			func(p *profiles) { p.acknowledge(first, true); p.markUncertain(second); p.acknowledge(third, true) },
			[]Sealed{third}, []Sealed{first, second}},
		"one_of_the_same_second_after_a_later_update": {
			func(p *profiles) { p.markUncertain(first); p.acknowledge(second, true) }, []Sealed{first, second}, []Sealed{third}},
		"an_earlier_one_after_an_update_that_changed_nothing": {
			func(p *profiles) {
				p.acknowledge(first, true)
				p.markUncertain(second)
				p.acknowledge(named(1, 200), false)
			},
			[]Sealed{first, second}, []Sealed{third}},
	} {
		t.Run(name, func(t *testing.T) {
			p := NewNewcomer(user, "").profiles
			test.happened(&p)
			for _, data := range test.allowed {
				if !p.allow(user, data.UserInfo) {
					t.Errorf("not %q", data.UserInfo.NickName)
				}
			}
			for _, data := range append(test.refused, Sealed{UserInfo: Profile{NickName: Nickname("w1-12", 1)}}) {
				if p.allow(user, data.UserInfo) {
					t.Errorf("%q", data.UserInfo.NickName)
				}
			}
		})
	}
}

// An outage must not make the list grow without end.
func TestProfiles_allow_any_own_one_after_many_uncertain_updates(t *testing.T) {
	p := NewNewcomer("w1-1", "").profiles
	for n := range 1000 {
		p.markUncertain(named(n, 100))
	}
	if len(p.possible) > maxPossible || !p.allow("w1-1", named(3, 0).UserInfo) || p.allow("w1-2", named(3, 0).UserInfo) {
		t.Errorf("%d possible, any: %v", len(p.possible), p.anyOwn)
	}
	p.acknowledge(named(1000, 200), true)
	if p.allow("w1-1", named(3, 0).UserInfo) {
		t.Error("it is in doubt still after an update that was answered")
	}
}

func TestNickname(t *testing.T) {
	t.Run("is read as it was made", func(t *testing.T) {
		for _, user := range []string{"u07-12", "k01", "r2", "w1-1"} {
			if got, revision, ok := ReadNickname(Nickname(user, 123)); got != user || revision != 123 || !ok {
				t.Errorf("%s: %q, %d, %v", user, got, revision, ok)
			}
		}
	})
	t.Run("is empty before the first one", func(t *testing.T) {
		if user, revision, ok := ReadNickname(""); user != "" || revision != 0 || !ok {
			t.Errorf("%q, %d, %v", user, revision, ok)
		}
	})
	t.Run("is not read from other names", func(t *testing.T) {
		for _, s := range []string{
			"Alice", "u07-12 r0012", "u07-12 rabcdef", " r", " r1", "u07-12 r000123 ", "w1-1", "w1-1 r", "w1-1 r-1", "w1-1 r+1", "w1-1r1",
		} {
			if _, _, ok := ReadNickname(s); ok {
				t.Errorf("%q is read", s)
			}
		}
	})
	t.Run("belongs to one user", func(t *testing.T) {
		if !isOwn("w1-1", Profile{NickName: "w1-1 r12"}) || isOwn("w1-1", Profile{NickName: "w1-12 r1"}) || !isOwn("w1-1", Profile{}) ||
			isOwn("w1-1", Profile{AvatarURL: "a"}) {
			t.Error("it does not")
		}
	})
}
