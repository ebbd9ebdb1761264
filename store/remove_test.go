package store_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"wxlogin/store"
)

// Alice gives her name at 1 minute, her picture at 2 and her phone number at 3. What is removed is asked for at at.
func TestUsers_Remove(t *testing.T) {
	all := store.Removal{NickName: true, Avatar: true, Phone: true}
	for name, tt := range map[string]struct {
		removal store.Removal
		at      time.Duration
		left    string   // of name, picture and phone number
		source  string   // profile_source
		changes []string // kinds and notes
		picture bool     // is listed for deletion
	}{
		"everything":             {all, time.Hour, "", "0", []string{"profile_removed nickname, avatar", "phone_removed NULL"}, true},
		"the name":               {store.Removal{NickName: true}, time.Hour, "picture phone", "2", []string{"profile_removed nickname"}, false},
		"the picture":            {store.Removal{Avatar: true}, time.Hour, "name phone", "2", []string{"profile_removed avatar"}, true},
		"the phone number":       {store.Removal{Phone: true}, time.Hour, "name picture", "2", []string{"phone_removed NULL"}, false},
		"before all":             {all, 30 * time.Second, "name picture phone", "2", nil, false},
		"in the name's second":   {all, time.Minute, "picture phone", "2", []string{"profile_removed nickname"}, false},
		"between the two":        {all, 90 * time.Second, "picture phone", "2", []string{"profile_removed nickname"}, false},
		"before the number":      {all, 150 * time.Second, "phone", "0", []string{"profile_removed nickname, avatar"}, true},
		"in the future":          {all, 24 * time.Hour, "", "0", []string{"profile_removed nickname, avatar", "phone_removed NULL"}, true},
		"without a time, so now": {all, 0, "", "0", []string{"profile_removed nickname, avatar", "phone_removed NULL"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			alice, _ := f.login(appA, "oAlice", "")
			start := f.clock.now()
			f.clock.advance(time.Minute)
			f.update(appA, "oAlice", store.Profile{NickName: "Alice", Source: store.SourceUser})
			f.clock.advance(time.Minute)
			f.update(appA, "oAlice", store.Profile{AvatarURL: "/avatars/a.jpg", Source: store.SourceUser})
			f.clock.advance(time.Minute)
			f.bind(appA, "oAlice", firstPhone)
			f.clock.advance(2 * time.Hour)
			if tt.at != 0 {
				tt.removal.AsOf = start.Add(tt.at).Truncate(time.Second)
			}
			for range 2 { // WeChat repeats
				user, err := f.users.Remove(t.Context(), appA, "oAlice", tt.removal, byWeChat)
				if err != nil {
					t.Fatal(err)
				}
				var left []string
				for what, is := range map[string]bool{"name": user.NickName != "", "picture": user.AvatarURL != "", "phone": user.Phone.Number != ""} {
					if is {
						left = append(left, what)
					}
				}
				slices.Sort(left)
				if want := strings.Fields(tt.left); !slices.Equal(left, slices.Sorted(slices.Values(want))) {
					t.Errorf("left %v, want %v", left, want)
				}
			}
			if row := f.user(alice.ID); row["profile_source"] != tt.source || (row["phone_bound_at"] == "NULL") == strings.Contains(tt.left, "phone") {
				t.Errorf("row %v", row)
			}
			var changes []string
			for _, row := range f.rows("SELECT * FROM user_changes ORDER BY seq") {
				changes = append(changes, row["kind"]+" "+row["note"])
			}
			if !slices.Equal(changes, tt.changes) {
				t.Errorf("changes %v, want %v", changes, tt.changes)
			}
			if got := f.workOff(alice.ID); (len(got) == 1 && got[0].AvatarURL == "/avatars/a.jpg") != tt.picture {
				t.Errorf("deletions %v", got)
			}
		})
	}
}

// After a withdrawal, data that WeChat made before does not bring the name back, even if there was none to remove.
func TestUsers_RemoveOlderData(t *testing.T) {
	for name, given := range map[string]store.Profile{"a name": {NickName: "Alice"}, "no name": {}} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.login(appA, "oAlice", "")
			f.update(appA, "oAlice", given)
			f.clock.advance(time.Hour)
			event := f.clock.now().Truncate(time.Second)
			removal := store.Removal{NickName: true, Avatar: true, AsOf: event}
			if _, err := f.users.Remove(t.Context(), appA, "oAlice", removal, byWeChat); err != nil {
				t.Fatal(err)
			}
			f.clock.advance(time.Minute)
			if user := f.update(appA, "oAlice", store.Profile{NickName: "Older", AsOf: event.Add(-time.Second)}); user.NickName != "" {
				t.Errorf("older data: %+v", user)
			}
			user := f.update(appA, "oAlice", store.Profile{NickName: "Newer", AsOf: event.Add(time.Second)})
			if user.NickName != "Newer" {
				t.Errorf("newer data: %+v", user)
			}
			if user, err := f.users.Remove(t.Context(), appA, "oAlice", removal, byWeChat); err != nil || user.NickName != "Newer" {
				t.Errorf("repeated: %+v, %v", user, err)
			}
		})
	}
}

// An update that has read the row before a withdrawal must not bring back what was withdrawn.
func TestUsers_RemoveBesideUpdate(t *testing.T) {
	f := newFixture(t)
	f.login(appA, "oAlice", "")
	f.clock.advance(time.Hour)
	event := f.clock.now().Truncate(time.Second)
	other, err := store.Open(f.dsn, store.Options{Now: f.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	withdrawn := false
	f.wire.sabotage(func(sql string) error {
		if withdrawn || !strings.HasPrefix(sql, "UPDATE users SET nickname") {
			return nil
		}
		withdrawn = true
		_, err := other.Users().Remove(t.Context(), appA, "oAlice", store.Removal{NickName: true, AsOf: event}, byWeChat)
		return err
	}, nil)
	user := f.update(appA, "oAlice", store.Profile{NickName: "Older", AsOf: event.Add(-time.Minute)})
	if !withdrawn || user.NickName != "" {
		t.Errorf("withdrawn %v, %+v", withdrawn, user)
	}
}

func TestUsers_RemoveStatus(t *testing.T) {
	f := newFixture(t)
	alice, merged, other := newAlice(f)
	before := f.user(other)
	f.exec("UPDATE users SET status = 2 WHERE id = ?", alice)
	phone := store.Removal{Phone: true}
	if user, err := f.users.Remove(t.Context(), appA, "oAliceInA", phone, byPerson); err != nil || user.Phone.Number == "" {
		t.Errorf("a disabled user's own request: %+v, %v", user, err)
	}
	if user, err := f.users.Remove(t.Context(), appA, "oAliceInA", phone, byWeChat); err != nil || user.Phone.Number != "" {
		t.Errorf("WeChat's request for a disabled user: %+v, %v", user, err)
	}
	if row := f.user(merged); row["phone_number"] != "NULL" {
		t.Errorf("the merged user keeps a phone number: %v", row)
	}
	if got := changed(before, f.user(other)); len(got) != 0 {
		t.Errorf("the other user changed: %v", got)
	}
	if _, err := f.users.Remove(t.Context(), appA, "oUnknown", phone, byWeChat); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown identity: %v", err)
	}
	if n := len(f.rows("SELECT * FROM user_changes WHERE kind = 'phone_removed'")); n != 1 {
		t.Errorf("%d records", n)
	}
}
