package store_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"wxlogin/store"
)

var (
	early = time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC)
	late  = time.Date(2025, 3, 2, 0, 0, 0, 0, time.UTC)
)

// TestUsers_UpdateProfile has one case for each rule: the stored profile, the given one, the result, and the written
// columns (except profile_as_of, profile_updated_at, updated_at and profile_source, which are checked in every case).
func TestUsers_UpdateProfile(t *testing.T) {
	full := store.Profile{
		NickName: "Alice", AvatarURL: "https://a/1", Gender: 2,
		Country: "China", Province: "Guangdong", City: "Guangzhou", Language: "en", AsOf: early,
	}
	with := func(p store.Profile, change func(*store.Profile)) store.Profile {
		change(&p)
		return p
	}
	allColumns := []string{"nickname", "avatar_url", "gender", "country", "province", "city", "language"}
	for _, tt := range []struct {
		name    string
		stored  store.Profile
		given   store.Profile
		want    store.Profile
		columns []string
	}{
		{"empty is filled", store.Profile{}, full, full, allColumns},
		{"only what changes is written", full,
			store.Profile{NickName: "Alicia", AvatarURL: "https://a/1", AsOf: late},
			with(full, func(p *store.Profile) { p.NickName, p.AsOf = "Alicia", late }),
			[]string{"nickname"}},
		{"case alone is a change", full,
			store.Profile{NickName: "alice", AsOf: late},
			with(full, func(p *store.Profile) { p.NickName, p.AsOf = "alice", late }),
			[]string{"nickname"}},
		{"empty never overwrites", full, store.Profile{AsOf: late}, full, nil},
		{"gender 0 never overwrites", full, store.Profile{NickName: "Alice", Gender: 0, AsOf: late}, full, nil},
		{"gender changes", full,
			store.Profile{Gender: 1, AsOf: late},
			with(full, func(p *store.Profile) { p.Gender, p.AsOf = 1, late }),
			[]string{"gender"}},
		{"gender out of range is not given", full, store.Profile{Gender: 7, AsOf: late}, full, nil},
		{"same again", full, with(full, func(p *store.Profile) { p.AsOf = late }), full, nil},
		{"older data is ignored", with(full, func(p *store.Profile) { p.AsOf = late }),
			store.Profile{NickName: "Old", City: "Old", AsOf: early},
			with(full, func(p *store.Profile) { p.AsOf = late }), nil},
		{"older data does not even fill", store.Profile{NickName: "Alice", AsOf: late},
			store.Profile{AvatarURL: "https://a/old", AsOf: late.Add(-time.Millisecond)},
			store.Profile{NickName: "Alice", AsOf: late}, nil},
		{"data of the same age is accepted", full,
			store.Profile{City: "Shenzhen", AsOf: early},
			with(full, func(p *store.Profile) { p.City = "Shenzhen" }),
			[]string{"city"}},
		{"placeholder language never overwrites", full, store.Profile{Language: "zh_CN", AsOf: late}, full, nil},
		{"placeholder language with a new nickname", full,
			store.Profile{NickName: "Alicia", Language: "zh_CN", AsOf: late},
			with(full, func(p *store.Profile) { p.NickName, p.AsOf = "Alicia", late }),
			[]string{"nickname"}},
		{"placeholder language alone is nothing", store.Profile{},
			store.Profile{Language: "zh_CN", AsOf: early}, store.Profile{}, nil},
		{"placeholder language alone does not fill", store.Profile{NickName: "Alice", AsOf: early},
			store.Profile{Language: "zh_CN", AsOf: late}, store.Profile{NickName: "Alice", AsOf: early}, nil},
		{"placeholder language fills with a nickname", store.Profile{},
			store.Profile{NickName: "Alice", Language: "zh_CN", AsOf: early}, store.Profile{NickName: "Alice", Language: "zh_CN", AsOf: early},
			[]string{"nickname", "language"}},
		{"placeholder language fills with an avatar", store.Profile{NickName: "Alice", AsOf: early},
			store.Profile{AvatarURL: "https://a/1", Language: "zh_CN", AsOf: late},
			store.Profile{NickName: "Alice", AvatarURL: "https://a/1", Language: "zh_CN", AsOf: late},
			[]string{"avatar_url", "language"}},
		{"zh CN with a gender is meant", full,
			store.Profile{Language: "zh_CN", Gender: 2, AsOf: late},
			with(full, func(p *store.Profile) { p.Language, p.AsOf = "zh_CN", late }),
			[]string{"language"}},
		{"zh CN with a city is meant", full,
			store.Profile{Language: "zh_CN", City: "Guangzhou", AsOf: late},
			with(full, func(p *store.Profile) { p.Language, p.AsOf = "zh_CN", late }),
			[]string{"language"}},
		{"another language alone is meant", full,
			store.Profile{Language: "fr", AsOf: late},
			with(full, func(p *store.Profile) { p.Language, p.AsOf = "fr", late }),
			[]string{"language"}},
		{"emoji", store.Profile{},
			store.Profile{NickName: "小明👨‍👩‍👧😀", AsOf: early}, store.Profile{NickName: "小明👨‍👩‍👧😀", AsOf: early},
			[]string{"nickname"}},
		{"emoji for another emoji", store.Profile{NickName: "😀", AsOf: early},
			store.Profile{NickName: "😁", AsOf: late}, store.Profile{NickName: "😁", AsOf: late},
			[]string{"nickname"}},
		{"quotes and backslashes", store.Profile{},
			store.Profile{NickName: `'; DROP TABLE users; -- \ " ?`, AsOf: early},
			store.Profile{NickName: `'; DROP TABLE users; -- \ " ?`, AsOf: early},
			[]string{"nickname"}},
		{"watermark is truncated to milliseconds", store.Profile{},
			store.Profile{NickName: "Alice", AsOf: early.Add(1_999_999)},
			store.Profile{NickName: "Alice", AsOf: early.Add(time.Millisecond)},
			[]string{"nickname"}},
		{"long texts are truncated", store.Profile{},
			store.Profile{NickName: strings.Repeat("名", 256), Country: strings.Repeat("c", 129), Language: strings.Repeat("l", 33), AsOf: early},
			store.Profile{NickName: strings.Repeat("名", 255), Country: strings.Repeat("c", 128), Language: strings.Repeat("l", 32), AsOf: early},
			[]string{"nickname", "country", "language"}},
		{"long texts are truncated between emoji", store.Profile{},
			store.Profile{NickName: strings.Repeat("👨\u200d👩\u200d👧\u200d👦", 37), City: "x" + strings.Repeat("🏳️\u200d🌈", 32), AsOf: early},
			store.Profile{NickName: strings.Repeat("👨\u200d👩\u200d👧\u200d👦", 36), City: "x" + strings.Repeat("🏳️\u200d🌈", 31), AsOf: early},
			[]string{"nickname", "city"}},
		{"longest avatar", store.Profile{},
			store.Profile{AvatarURL: strings.Repeat("a", 1024), AsOf: early}, store.Profile{AvatarURL: strings.Repeat("a", 1024), AsOf: early},
			[]string{"avatar_url"}},
		{"longer avatar is not given", full, store.Profile{AvatarURL: strings.Repeat("a", 1025), AsOf: late}, full, nil},
		{"invalid UTF-8 is removed", store.Profile{},
			store.Profile{NickName: "Al\xffice", AsOf: early}, store.Profile{NickName: "Alice", AsOf: early},
			[]string{"nickname"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			user, _ := f.login(appA, "oAlice", "")
			f.login(appA, "oBystander", "")
			f.update(appA, "oAlice", tt.stored)
			before, bystander := f.user(user.ID), f.user(user.ID+1)
			f.clock.advance(time.Minute)
			f.wire.reset()

			got := f.update(appA, "oAlice", tt.given)
			if tt.columns == nil {
				f.wire.wantVerbs(t, "SELECT")
			} else {
				f.wire.wantVerbs(t, "SELECT", "UPDATE")
			}
			filledIn := func(p store.Profile) bool { return p.NickName+p.AvatarURL != "" }
			if filledIn(tt.want) {
				tt.want.Source = store.SourceWeChat
			}
			if got.Profile != tt.want {
				t.Errorf("profile %+v\nwant %+v", got.Profile, tt.want)
			}
			if again, _ := f.login(appA, "oAlice", ""); again != got {
				t.Errorf("the row reads\n %+v\nreturned was\n %+v", again, got)
			}
			want := slices.Clone(tt.columns)
			if want != nil {
				want = append(want, "profile_updated_at", "updated_at")
			}
			if !tt.want.AsOf.Equal(tt.stored.AsOf) {
				want = append(want, "profile_as_of")
			}
			if filledIn(tt.want) && !filledIn(tt.stored) {
				want = append(want, "profile_source")
			}
			f.wantWritten(t, user.ID, before, want)
			if got := changed(bystander, f.user(user.ID+1)); len(got) != 0 {
				t.Errorf("another user changed: %v", got)
			}
		})
	}
}

func TestUsers_UpdateProfileFutureWatermark(t *testing.T) {
	f := newFixture(t)
	now := f.clock.now().Truncate(time.Millisecond)
	for name, asOf := range map[string]time.Time{"next_year": now.AddDate(1, 0, 0), "zero": {}} {
		openID := "o_" + name
		f.login(appA, openID, "")
		if user := f.update(appA, openID, store.Profile{NickName: name, AsOf: asOf}); !user.AsOf.Equal(now) {
			t.Errorf("%s: as of %v, want %v", name, user.AsOf, now)
		}
	}
}

// An update without data writes nothing, even if profile_as_of is in the future and would otherwise be healed.
func TestUsers_UpdateProfileEmpty(t *testing.T) {
	for name, nothing := range map[string]store.Profile{
		"nothing":                {},
		"nothing of the person":  {Source: store.SourceUser},
		"the placeholder":        {Language: "zh_CN", AsOf: late},
		"a placeholder to come":  {Language: "zh_CN", AsOf: late.AddDate(100, 0, 0)},
		"what cannot be stored":  {Gender: 9, AvatarURL: strings.Repeat("a", 1025), AsOf: late},
		"a nickname of no UTF-8": {NickName: "\xff", AsOf: late},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.login(appA, "oAlice", "")
			id := f.update(appA, "oAlice", store.Profile{NickName: "Typed"}).ID
			f.exec("UPDATE users SET profile_as_of = '2199-01-01', profile_source = 2, profile_updated_at = '2025-03-01'")
			before := f.user(id)
			f.clock.advance(time.Minute)
			f.wire.reset()
			if user := f.update(appA, "oAlice", nothing); user.NickName != "Typed" || user.Language != "" {
				t.Errorf("user %+v", user)
			}
			f.wire.wantVerbs(t, "SELECT")
			f.wantWritten(t, id, before, nil)
		})
	}
}

func TestUsers_UpdateProfileComplete(t *testing.T) {
	f := newFixture(t)
	f.login(appA, "oAlice", "")
	if f.update(appA, "oAlice", store.Profile{NickName: "Alice"}).ProfileComplete() {
		t.Error("complete without an avatar")
	}
	user := f.update(appA, "oAlice", store.Profile{AvatarURL: "https://a/1"})
	if !user.ProfileComplete() || user.NickName != "Alice" {
		t.Errorf("user %+v", user)
	}
}

func TestUsers_UpdateProfileInactive(t *testing.T) {
	f := newFixture(t)
	user, _ := f.login(appA, "oAlice", "")
	f.exec("UPDATE users SET status = 2 WHERE id = ?", user.ID)
	f.wire.reset()
	if got := f.update(appA, "oAlice", store.Profile{NickName: "Alice"}); got.Active() || got.NickName != "" {
		t.Errorf("user %+v", got)
	}
	f.wire.wantVerbs(t, "SELECT")

	if _, _, err := f.users.UpdateProfile(t.Context(), appB, "oAlice", store.Profile{NickName: "Alice"}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("in another app: %v, want ErrNotFound", err)
	}
	f.wantCounts(1, 1)
}

func TestUsers_UpdateProfileConcurrent(t *testing.T) {
	// Data of different age is sent concurrently: in any order, the newest is stored.
	t.Run("the newest data wins", func(t *testing.T) {
		const n = 32
		f := newFixture(t)
		f.login(appA, "oAlice", "")
		concurrently(n, func(i int) {
			p := store.Profile{NickName: strings.Repeat("n", i+1), City: strings.Repeat("c", i+1), AsOf: early.Add(time.Duration(i) * time.Second)}
			if _, _, err := f.users.UpdateProfile(t.Context(), appA, "oAlice", p); err != nil {
				t.Error(err)
			}
		})
		user, _ := f.login(appA, "oAlice", "")
		if len(user.NickName) != n || len(user.City) != n || !user.AsOf.Equal(early.Add((n-1)*time.Second)) {
			t.Errorf("stored: %d %d %v", len(user.NickName), len(user.City), user.AsOf)
		}
	})

	// Another write comes between the read and the write of an update.
	t.Run("another write comes in between", func(t *testing.T) {
		for _, tt := range []struct {
			name    string
			between string
			given   store.Profile
			want    string
			verbs   []string
		}{
			{"newer data came first", "UPDATE users SET nickname = 'Newer', profile_as_of = '2025-03-03', profile_updated_at = '2025-03-03' WHERE id = ?",
				store.Profile{NickName: "Given", AsOf: late}, "Newer", []string{"SELECT", "UPDATE", "SELECT"}},
			{"older data came first", "UPDATE users SET nickname = 'Older', profile_as_of = '2025-03-01', profile_updated_at = '2025-03-01' WHERE id = ?",
				store.Profile{NickName: "Given", AsOf: late}, "Given", []string{"SELECT", "UPDATE", "SELECT", "UPDATE"}},
			{"disabled", "UPDATE users SET status = 2 WHERE id = ?",
				store.Profile{NickName: "Given", AsOf: late}, "", []string{"SELECT", "UPDATE", "SELECT"}},
		} {
			t.Run(tt.name, func(t *testing.T) {
				f := newFixture(t)
				user, _ := f.login(appA, "oAlice", "")
				f.wire.reset()
				f.wire.beforeUpdate(func() error {
					f.exec(tt.between, user.ID)
					return nil
				})
				got := f.update(appA, "oAlice", tt.given)
				f.wire.wantVerbs(t, tt.verbs...)
				if row := f.user(user.ID); got.NickName != tt.want || row["nickname"] != tt.want {
					t.Errorf("nickname %q, row %q; want %q", got.NickName, row["nickname"], tt.want)
				}
			})
		}
	})

	// A column that an update does not change keeps its value at the time of the write, not of the read.
	t.Run("unchanged fields are left to other writers", func(t *testing.T) {
		f := newFixture(t)
		user, _ := f.login(appA, "oAlice", "")
		f.update(appA, "oAlice", store.Profile{NickName: "Alice", City: "Guangzhou", Gender: 2, AsOf: early})
		f.wire.sabotage(func(sql string) error {
			if strings.HasPrefix(sql, "UPDATE") {
				f.exec("UPDATE users SET city = '', gender = 1, language = 'fr' WHERE id = ?", user.ID)
			}
			return nil
		}, nil)
		f.update(appA, "oAlice", store.Profile{NickName: "Alicia", AsOf: late})
		row := f.user(user.ID)
		if row["nickname"] != "Alicia" || row["city"] != "" || row["gender"] != "1" || row["language"] != "fr" {
			t.Errorf("row %v", row)
		}
	})
}
