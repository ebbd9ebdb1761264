package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"wxlogin/store"
)

// picture is what /uploadAvatar stores.
func picture(name string) store.Profile {
	return store.Profile{AvatarURL: "https://pictures.example/" + name, Source: store.SourceUser}
}

func TestUsers_UpdateProfile_replacedAvatar(t *testing.T) {
	t.Run("it is the avatar that this update replaced", testReplaced)
	t.Run("a statement for several writes some of them", testReplacedInBatch)
	t.Run("a picture that a person chose goes alone", testPicturesGoAlone)
	t.Run("each picture is replaced once", testReplacedAtOnce)
}

func testReplaced(t *testing.T) {
	const old = "https://pictures.example/old"
	for name, tt := range map[string]struct {
		stored  store.Profile
		between string // another write comes between the read and the write
		given   store.Profile
		want    string
	}{
		"the first avatar replaces none":  {store.Profile{}, "", picture("new"), ""},
		"another avatar":                  {picture("old"), "", picture("new"), old},
		"WeChat's avatar":                 {picture("old"), "", store.Profile{AvatarURL: "https://thirdwx.qlogo.cn/1"}, old},
		"the same avatar again":           {picture("old"), "", picture("old"), ""},
		"a nickname alone":                {picture("old"), "", store.Profile{NickName: "Alice"}, ""},
		"older data":                      {picture("old"), "", store.Profile{AvatarURL: "https://a/1", AsOf: early}, ""},
		"another write replaced it first": {picture("old"), "avatar_url = 'https://a/2', profile_as_of = '2025-03-03', profile_updated_at = '2025-03-03'", picture("new"), "https://a/2"},
		"a newer write makes it out of date": {store.Profile{AvatarURL: old, AsOf: early}, "avatar_url = 'https://a/2', profile_as_of = '2025-03-03', profile_updated_at = '2025-03-03'",
			store.Profile{AvatarURL: "https://a/1", AsOf: late}, ""},
		"blocked in between": {picture("old"), "status = 2", picture("new"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			user, _ := f.login(appA, "oAlice", "")
			f.update(appA, "oAlice", tt.stored)
			done := tt.between == ""
			f.wire.sabotage(func(sql string) error {
				if strings.HasPrefix(sql, "UPDATE") && !done {
					done = true
					f.exec("UPDATE users SET "+tt.between+" WHERE id = ?", user.ID)
				}
				return nil
			}, nil)
			_, replaced, err := f.users.UpdateProfile(t.Context(), appA, "oAlice", tt.given)
			if err != nil || replaced != tt.want || !done {
				t.Errorf("replaced %q, %v; want %q", replaced, err, tt.want)
			}
		})
	}
}

// A statement for several writes all but one of them: each of the others is sent again, finds itself written, and still
// returns what it replaced.
func testReplacedInBatch(t *testing.T) {
	b := newBusy(t, 3)
	b.exec("UPDATE users SET avatar_url = CONCAT('https://a/old', id) WHERE id IN (?, ?, ?)", b.ids[0], b.ids[1], b.ids[2])
	for i := range 3 {
		b.calls.Go(func() {
			given := store.Profile{AvatarURL: fmt.Sprint("https://a/new", i)}
			_, replaced, err := b.users.UpdateProfile(t.Context(), appA, fmt.Sprintf("oUser%d", i), given)
			want := fmt.Sprint("https://a/old", b.ids[i])
			if i == 1 {
				want = ""
			}
			if err != nil || replaced != want {
				t.Errorf("user %d: replaced %q, %v; want %q", i, replaced, err, want)
			}
		})
	}
	b.waitForWaiting(3)
	b.exec("UPDATE users SET status = 2 WHERE id = ?", b.ids[1])
	b.release()
	if b.together() != 1 {
		t.Errorf("%d statements wrote several profiles", b.together())
	}
}

// A picture that a person chose is in no statement with others, so that what it replaced is never in doubt.
func testPicturesGoAlone(t *testing.T) {
	b := newBusy(t, 3)
	b.wire.sabotage(nil, nil)
	for i := range 3 {
		b.update(appA, fmt.Sprintf("oUser%d", i), picture("new")) // returns while other writes hang
	}
	b.release()
	if b.together() != 0 {
		t.Errorf("%d statements wrote several profiles", b.together())
	}
}

// Two servers change the pictures of one person at once: each picture but the last is replaced exactly once.
func testReplacedAtOnce(t *testing.T) {
	const n = 32
	f := newFixture(t)
	servers := []*store.Users{f.users, f.second(time.Second / 2).Users()}
	f.login(appA, "oAlice", "")
	all := make([]string, n)
	together(n, func(i int) {
		var err error
		if _, all[i], err = servers[i%2].UpdateProfile(t.Context(), appA, "oAlice", picture(fmt.Sprint(i))); err != nil {
			t.Error(err)
		}
	})
	user, _ := f.login(appA, "oAlice", "")
	got := slices.Sorted(slices.Values(append(all, user.AvatarURL)))
	want := []string{""}
	for i := range n {
		want = append(want, picture(fmt.Sprint(i)).AvatarURL)
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("replaced and last\n%q\nwant\n%q", got, want)
	}
}
