package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"wxlogin/store"
)

// The two users that are merged: left has its identity in appA and no unionid, the holder has it in appB with one. Each
// test says who was there first.
const (
	leftFirst   = false
	holderFirst = true
)

var orders = map[string]bool{"left_is_older": leftFirst, "holder_is_older": holderFirst}

// twoUsers makes one person with two users, a minute apart.
func twoUsers(f *fixture, holderIsFirst bool, left, holder store.Profile) (leftID, holderID uint64) {
	f.t.Helper()
	makeLeft := func() {
		user, _ := f.login(appA, "oAliceInA", "")
		f.update(appA, "oAliceInA", left)
		leftID = user.ID
	}
	makeHolder := func() {
		user, _ := f.login(appB, "oAliceInB", "uAlice")
		f.update(appB, "oAliceInB", holder)
		holderID = user.ID
	}
	first, second := makeLeft, makeHolder
	if holderIsFirst {
		first, second = makeHolder, makeLeft
	}
	first()
	f.clock.advance(time.Minute)
	second()
	f.wantCounts(2, 2)
	return leftID, holderID
}

// survivorOf tells which of two users is to stay.
func survivorOf(holderIsFirst bool, leftID, holderID uint64) (survivor, merged uint64) {
	if holderIsFirst {
		return holderID, leftID
	}
	return leftID, holderID
}

func TestUsers_Login_merges(t *testing.T) {
	for name, holderIsFirst := range orders {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			more := store.Profile{NickName: "More", AvatarURL: "https://a/more", Gender: 2, City: "Guangzhou", Language: "en"}
			less := store.Profile{NickName: "Less"}
			left, holder := less, more // the older one has less
			if holderIsFirst {
				left, holder = more, less
			}
			leftID, holderID := twoUsers(f, holderIsFirst, left, holder)
			survivor, merged := survivorOf(holderIsFirst, leftID, holderID)
			before := f.user(survivor)
			f.clock.advance(time.Minute)

			user, created := f.login(appA, "oAliceInA", "uAlice")
			if created || user.ID != survivor || user.UnionID != "uAlice" {
				t.Fatalf("created %v, user %d; want %d", created, user.ID, survivor)
			}
			want := more
			want.NickName, want.AsOf, want.Source = "Less", user.AsOf, store.SourceWeChat
			if user.Profile != want {
				t.Errorf("profile %+v\nwant %+v", user.Profile, want)
			}
			for _, id := range [][2]string{{appA, "oAliceInA"}, {appB, "oAliceInB"}} {
				if again, _ := f.login(id[0], id[1], "uAlice"); again != user {
					t.Errorf("%s reads\n %+v\nwant %+v", id[0], again, user)
				}
			}
			after := f.user(survivor)
			if after["profile_as_of"] != before["profile_as_of"] || after["created_at"] != before["created_at"] ||
				after["updated_at"] == before["updated_at"] {
				t.Errorf("survivor %v\nbefore %v", after, before)
			}
			wantTombstone(f, merged, survivor)
			f.wantCounts(2, 2)
			f.wantNoOrphans()

			f.wire.reset()
			f.login(appA, "oAliceInA", "uAlice")
			f.wire.wantVerbs(t, "SELECT")
			if user := f.update(appA, "oAliceInA", store.Profile{NickName: "New"}); user.ID != survivor || user.NickName != "New" {
				t.Errorf("an update by the moved identity goes to %+v", user)
			}
		})
	}
}

// wantTombstone asserts what is left of a user that was merged by the login of Alice in appA.
func wantTombstone(f *fixture, merged, survivor uint64) {
	f.t.Helper()
	row := f.user(merged)
	if row["status"] != "3" || row["merged_into"] != fmt.Sprint(survivor) || row["unionid"] != "NULL" ||
		row["nickname"] != "More" {
		f.t.Errorf("left behind: %v", row)
	}
	record := f.one("SELECT * FROM user_merges")
	now := f.one("SELECT updated_at FROM users WHERE id = ?", merged)["updated_at"]
	for column, want := range map[string]string{
		"survivor_id": fmt.Sprint(survivor), "merged_id": fmt.Sprint(merged), "unionid": "uAlice", "appid": appA, "merged_at": now,
	} {
		if record[column] != want {
			f.t.Errorf("user_merges: %s is %q, want %q", column, record[column], want)
		}
	}
}

func TestUsers_Login_merge_keeps_the_older_by_created_at_before_id(t *testing.T) {
	f := newFixture(t)
	_, holderID := twoUsers(f, leftFirst, store.Profile{}, store.Profile{})
	f.exec("UPDATE users SET created_at = '2024-01-01' WHERE id = ?", holderID)
	if user, _ := f.login(appA, "oAliceInA", "uAlice"); user.ID != holderID {
		t.Errorf("user %d survives, want %d", user.ID, holderID)
	}
}

func TestUsers_Login_merge_into_a_complete_profile_changes_no_profile(t *testing.T) {
	f := newFixture(t)
	full := store.Profile{
		NickName: "H", AvatarURL: "https://a/h", Gender: 1, Country: "c", Province: "p", City: "c", Language: "fr",
	}
	other := store.Profile{NickName: "L", AvatarURL: "https://a/l", Gender: 2, City: "x", Language: "en"}
	_, holderID := twoUsers(f, holderFirst, other, full)
	before := f.user(holderID)
	f.clock.advance(time.Minute)
	f.login(appA, "oAliceInA", "uAlice")
	if got := changed(before, f.user(holderID)); len(got) != 0 {
		t.Errorf("changed %v", got)
	}
	f.wantNoOrphans()
}

// What a person typed and what WeChat sent do not overwrite each other: gaps are filled, and no more.
func TestUsers_Login_merge_and_who_filled_in(t *testing.T) {
	wechat := store.Profile{NickName: "from WeChat", AvatarURL: "https://a/wechat"}
	typed := store.Profile{NickName: "typed", AvatarURL: "https://a/typed", Source: store.SourceUser}
	nameOnly := func(p store.Profile) store.Profile { p.AvatarURL = ""; return p }
	for _, tt := range []struct {
		name           string
		older, younger store.Profile
		nickName       string
		avatar         string
		source         string
	}{
		{"typed_stays", typed, wechat, "typed", "https://a/typed", "2"},
		{"wechat_stays", wechat, typed, "from WeChat", "https://a/wechat", "1"},
		{"typed_is_filled_by_wechat", nameOnly(typed), wechat, "typed", "https://a/wechat", "2"},
		{"wechat_is_filled_by_typed", nameOnly(wechat), typed, "from WeChat", "https://a/typed", "2"},
		{"nobody_is_filled_by_wechat", store.Profile{}, wechat, "from WeChat", "https://a/wechat", "1"},
		{"nobody_is_filled_by_typed", store.Profile{}, typed, "typed", "https://a/typed", "2"},
		{"nobody_and_nobody", store.Profile{}, store.Profile{}, "", "", "0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			leftID, _ := twoUsers(f, leftFirst, tt.older, tt.younger)
			f.login(appA, "oAliceInA", "uAlice")
			row := f.user(leftID)
			if row["nickname"] != tt.nickName || row["avatar_url"] != tt.avatar || row["profile_source"] != tt.source {
				t.Errorf("%q %q from %s, want %q %q from %s", row["nickname"], row["avatar_url"], row["profile_source"],
					tt.nickName, tt.avatar, tt.source)
			}
		})
	}
}

func TestUsers_Login_merge_and_phone_numbers(t *testing.T) {
	const bind = "UPDATE users SET phone_country_code = '86', phone_number = ?, phone_bound_at = created_at WHERE id = ?"
	for name, tt := range map[string]struct{ older, younger, want string }{
		"none_is_filled":   {"", "13800000002", "13800000002"},
		"one_stays":        {"13800000001", "13800000002", "13800000001"},
		"nobody_has_one":   {"", "", ""},
		"only_the_older's": {"13800000001", "", "13800000001"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			leftID, holderID := twoUsers(f, leftFirst, store.Profile{}, store.Profile{})
			for id, number := range map[uint64]string{leftID: tt.older, holderID: tt.younger} {
				if number != "" {
					f.exec(bind, number, id)
				}
			}
			user, _ := f.login(appA, "oAliceInA", "uAlice")
			if user.ID != leftID || user.Phone.Number != tt.want || user.PhoneBoundAt.IsZero() != (tt.want == "") {
				t.Errorf("user %d has another number, bound at %v", user.ID, user.PhoneBoundAt)
			}
			if again, _ := f.login(appB, "oAliceInB", "uAlice"); again != user {
				t.Error("the row reads otherwise than the merge told")
			}
		})
	}
}

func TestUsers_Login_merge_and_blocks(t *testing.T) {
	for name, holderIsFirst := range orders {
		t.Run("a_disabled_user_is_never_merged/"+name, func(t *testing.T) {
			f := newFixture(t)
			leftID, holderID := twoUsers(f, holderIsFirst, store.Profile{}, store.Profile{})
			f.exec("UPDATE users SET status = 2 WHERE id = ?", leftID)
			left, holder := f.user(leftID), f.user(holderID)
			if user, _ := f.login(appA, "oAliceInA", "uAlice"); user.ID != leftID || user.Active() {
				t.Errorf("user %+v", user)
			}
			if l, h := changed(left, f.user(leftID)), changed(holder, f.user(holderID)); len(l)+len(h) != 0 {
				t.Errorf("changed %v and %v", l, h)
			}
		})
		t.Run("the_block_of_a_disabled_holder_stays/"+name, func(t *testing.T) {
			f := newFixture(t)
			leftID, holderID := twoUsers(f, holderIsFirst, store.Profile{}, store.Profile{})
			survivor, _ := survivorOf(holderIsFirst, leftID, holderID)
			f.exec("UPDATE users SET status = 2 WHERE id = ?", holderID)
			for _, id := range [][2]string{{appA, "oAliceInA"}, {appB, "oAliceInB"}, {appC, "oAliceInC"}} {
				if user, _ := f.login(id[0], id[1], "uAlice"); user.ID != survivor || user.Active() {
					t.Errorf("%s: user %+v", id[0], user)
				}
			}
			f.wantNoOrphans()
		})
	}
	t.Run("a_row_merged_by_hand_without_its_identities_stays", func(t *testing.T) {
		f := newFixture(t)
		leftID, holderID := twoUsers(f, leftFirst, store.Profile{}, store.Profile{})
		f.exec("UPDATE users SET status = 3, merged_into = ? WHERE id = ?", holderID, leftID)
		if user, _ := f.login(appA, "oAliceInA", "uAlice"); user.ID != leftID || user.Status != store.StatusMerged {
			t.Errorf("user %+v", user)
		}
		if faults := f.orphans(); len(faults) != 1 || faults[0]["fault"] != "identity of a merged user" {
			t.Errorf("orphan query: %v", faults)
		}
	})
}

// The order in which most people meet it: a profile in one mini-program, a unionid in another, and then in the first too.
func TestUsers_Login_profile_first_and_unionid_later(t *testing.T) {
	f := newFixture(t)
	first, _ := f.login(appA, "oAliceInA", "")
	f.update(appA, "oAliceInA", store.Profile{NickName: "Alice😀", AvatarURL: "https://a/1"})
	f.clock.advance(time.Hour)
	f.login(appB, "oAliceInB", "uAlice")
	f.clock.advance(time.Hour)
	f.login(appA, "oAliceInA", "uAlice")
	for _, id := range [][2]string{{appA, "oAliceInA"}, {appB, "oAliceInB"}} {
		user, created := f.login(id[0], id[1], "uAlice")
		if created || user.ID != first.ID || user.NickName != "Alice😀" || !user.ProfileComplete() || user.UnionID != "uAlice" {
			t.Errorf("%s: created %v, user %+v", id[0], created, user)
		}
	}
	wantOnePerson(f, 2)
}

// A user who was merged away may itself have taken over others: the way leads on to who is left.
func TestUsers_Login_merges_in_a_chain(t *testing.T) {
	f := newFixture(t)
	oldest, _ := f.login(appC, "oAliceInC", "")
	f.clock.advance(time.Minute)
	twoUsers := func() (uint64, uint64) {
		left, _ := f.login(appA, "oAliceInA", "")
		holder, _ := f.login(appB, "oAliceInB", "uAlice")
		return left.ID, holder.ID
	}
	leftID, holderID := twoUsers()
	f.login(appA, "oAliceInA", "uAlice") // the holder goes into left
	f.login(appC, "oAliceInC", "uAlice") // and left into the oldest
	wantOnePerson(f, 3)
	var got []string
	for _, row := range f.rows("SELECT survivor_id, merged_id FROM user_merges ORDER BY id") {
		got = append(got, row["merged_id"]+" into "+row["survivor_id"])
	}
	want := []string{fmt.Sprintf("%d into %d", holderID, leftID), fmt.Sprintf("%d into %d", leftID, oldest.ID)}
	if !slices.Equal(got, want) {
		t.Errorf("merged %q, want %q", got, want)
	}
}

// wantOnePerson asserts that all identities belong to one live user, who has the unionid.
func wantOnePerson(f *fixture, identities int) {
	f.t.Helper()
	live := f.rows("SELECT id, unionid FROM users WHERE status <> 3")
	if len(live) != 1 || live[0]["unionid"] != "uAlice" {
		f.t.Fatalf("live users: %v", live)
	}
	owners := f.rows("SELECT user_id, COUNT(*) AS n FROM wechat_identities GROUP BY user_id")
	if len(owners) != 1 || owners[0]["user_id"] != live[0]["id"] || owners[0]["n"] != fmt.Sprint(identities) {
		f.t.Errorf("identities %v, want %d of user %s", owners, identities, live[0]["id"])
	}
	merged, recorded := f.rows("SELECT id FROM users WHERE status = 3"), f.rows("SELECT id FROM user_merges")
	if len(merged) != len(recorded) {
		f.t.Errorf("%d merged users, %d on record", len(merged), len(recorded))
	}
	f.wantNoOrphans()
}

func TestUsers_Login_merge_many_at_once(t *testing.T) {
	for name, holderIsFirst := range orders {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			leftID, holderID := twoUsers(f, holderIsFirst,
				store.Profile{AvatarURL: "https://a/left"}, store.Profile{NickName: "Holder"})
			survivor, _ := survivorOf(holderIsFirst, leftID, holderID)
			concurrently(32, func(i int) {
				id := store.Identity{AppID: appA, OpenID: "oAliceInA", UnionID: "uAlice"}
				if i%4 == 0 {
					if _, _, err := f.users.UpdateProfile(t.Context(), appA, "oAliceInA", store.Profile{City: "Guangzhou"}); err != nil {
						t.Error(err)
					}
				}
				if user, _, err := f.users.Login(t.Context(), id); err != nil || user.ID != survivor {
					t.Errorf("user %d, error %v", user.ID, err)
				}
			})
			user, _ := f.login(appA, "oAliceInA", "uAlice")
			want := store.Profile{
				NickName: "Holder", AvatarURL: "https://a/left", City: "Guangzhou", AsOf: user.AsOf, Source: store.SourceWeChat,
			}
			if user.Profile != want {
				t.Errorf("profile %+v\nwant %+v", user.Profile, want)
			}
			wantOnePerson(f, 2)
		})
	}
}

// A person opens four mini-programs for the first time, on several phones at the same moment. Some logins come without the
// unionid at first, and profiles are filled in between: whatever the order, one user is left, with all of it.
func TestUsers_Login_first_logins_of_four_apps_at_once(t *testing.T) {
	rounds := 5
	if realServer {
		rounds = 100
	}
	f := newFixture(t)
	apps := []string{appA, appB, appC, "wxdddddddddddddddd"}
	parts := []store.Profile{{NickName: "Alice"}, {AvatarURL: "https://a/1"}, {City: "Guangzhou"}, {Gender: 2}}
	for round := range rounds {
		for _, table := range []string{"users", "wechat_identities", "user_merges"} {
			f.exec("DELETE FROM " + table)
		}
		concurrently(32, func(i int) {
			id := store.Identity{AppID: apps[i%4], OpenID: "oAliceIn" + apps[i%4], UnionID: "uAlice"}
			early := id
			if i%3 == 0 {
				early.UnionID = ""
			}
			if _, _, err := f.users.Login(t.Context(), early); err != nil {
				t.Errorf("first login: %v", err)
			}
			if _, _, err := f.users.UpdateProfile(t.Context(), id.AppID, id.OpenID, parts[i%4]); err != nil {
				t.Errorf("UpdateProfile: %v", err)
			}
			if _, _, err := f.users.Login(t.Context(), id); err != nil {
				t.Errorf("second login: %v", err)
			}
		})
		wantOnePerson(f, len(apps))
		user, _ := f.login(appA, "oAliceIn"+appA, "uAlice")
		want := store.Profile{
			NickName: "Alice", AvatarURL: "https://a/1", City: "Guangzhou", Gender: 2, AsOf: user.AsOf, Source: store.SourceWeChat,
		}
		if user.Profile != want {
			t.Errorf("profile %+v\nwant %+v", user.Profile, want)
		}
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
}

// TestUsers_Login_join_and_merge_at_once has a merge take the holder away just before an identity is given to it.
func TestUsers_Login_join_and_merge_at_once(t *testing.T) {
	f := newFixture(t)
	leftID, _ := twoUsers(f, leftFirst, store.Profile{}, store.Profile{})
	other, err := store.Open(f.dsn, store.Options{Now: f.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	merge := true
	f.wire.sabotage(func(sql string) error {
		if !merge || !strings.HasPrefix(sql, "START TRANSACTION") && sql != "BEGIN" {
			return nil
		}
		merge = false
		_, _, err := other.Users().Login(t.Context(), store.Identity{AppID: appA, OpenID: "oAliceInA", UnionID: "uAlice"})
		return err
	}, nil)
	user, created := f.login(appC, "oAliceInC", "uAlice")
	if merge || created || user.ID != leftID {
		t.Errorf("merged between %v, created %v, user %d; want %d", !merge, created, user.ID, leftID)
	}
	wantOnePerson(f, 3)
}

// TestUsers_Login_merge_survives_a_crash breaks the connection at each statement of a merge in turn, before it is sent
// and after it has been, and looks at what is left.
func TestUsers_Login_merge_survives_a_crash(t *testing.T) {
	const statements = 10 // by identity, by unionid, BEGIN, two FOR UPDATE, three UPDATE, INSERT, COMMIT
	id := store.Identity{AppID: appA, OpenID: "oAliceInA", UnionID: "uAlice"}
	avatar, nickName := store.Profile{AvatarURL: "https://a/left"}, store.Profile{NickName: "Holder"}
	for n := 1; n <= statements; n++ {
		for _, sent := range []bool{false, true} {
			t.Run(fmt.Sprintf("statement_%d_sent_%v", n, sent), func(t *testing.T) {
				f := newFixture(t)
				leftID, holderID := twoUsers(f, leftFirst, avatar, nickName)
				left, holder := f.user(leftID), f.user(holderID)
				f.clock.advance(time.Minute)

				count := 0
				crash := func(string) error {
					if count++; count == n {
						return errCut
					}
					return nil
				}
				if sent {
					f.wire.sabotage(nil, crash)
				} else {
					f.wire.sabotage(crash, nil)
				}
				_, _, err := f.users.Login(t.Context(), id)
				if !errors.Is(err, store.ErrUnavailable) {
					t.Fatalf("error %v, want ErrUnavailable", err)
				}
				f.wire.reset()
				f.wantNoOrphans()
				if committed := n == statements && sent; !committed {
					if l, h := changed(left, f.user(leftID)), changed(holder, f.user(holderID)); len(l)+len(h) != 0 {
						t.Errorf("half a merge: changed %v and %v", l, h)
					}
				}
				user, created, err := f.users.Login(t.Context(), id)
				if err != nil || created || user.ID != leftID || user.AvatarURL != "https://a/left" || user.NickName != "Holder" {
					t.Errorf("the next login: created %v, error %v, user %+v", created, err, user)
				}
				wantOnePerson(f, 2)
			})
		}
	}
	f := newFixture(t)
	twoUsers(f, leftFirst, avatar, nickName)
	f.wire.reset()
	f.login(id.AppID, id.OpenID, id.UnionID)
	if got := f.wire.verbs(); len(got) != statements {
		t.Errorf("a merge takes %d statements, the test breaks %d: %v", len(got), statements, got)
	}
}
