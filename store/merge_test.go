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

// The two users to merge: late has its identity in appA and gets the unionid last, the holder has it in appB from the
// start. Each test says which of them is older.
const (
	lateFirst   = false
	holderFirst = true
)

var orders = map[string]bool{"late is older": lateFirst, "holder is older": holderFirst}

// twoUsers creates two users of one person, a minute apart.
func twoUsers(f *fixture, holderIsFirst bool, late, holder store.Profile) (lateID, holderID uint64) {
	f.t.Helper()
	makeLate := func() {
		user, _ := f.login(appA, "oAliceInA", "")
		f.update(appA, "oAliceInA", late)
		lateID = user.ID
	}
	makeHolder := func() {
		user, _ := f.login(appB, "oAliceInB", "uAlice")
		f.update(appB, "oAliceInB", holder)
		holderID = user.ID
	}
	first, second := makeLate, makeHolder
	if holderIsFirst {
		first, second = makeHolder, makeLate
	}
	first()
	f.clock.advance(time.Minute)
	second()
	f.wantCounts(2, 2)
	return lateID, holderID
}

// survivorOf returns which of the two users survives.
func survivorOf(holderIsFirst bool, lateID, holderID uint64) (survivor, merged uint64) {
	if holderIsFirst {
		return holderID, lateID
	}
	return lateID, holderID
}

func TestUsers_LoginMerge(t *testing.T) {
	t.Run("merges users with one unionid", func(t *testing.T) {
		for name, holderIsFirst := range orders {
			t.Run(name, func(t *testing.T) {
				f := newFixture(t)
				more := store.Profile{NickName: "More", AvatarURL: "https://a/more", Gender: 2, City: "Guangzhou", Language: "en"}
				less := store.Profile{NickName: "Less"}
				late, holder := less, more // the older one has less
				if holderIsFirst {
					late, holder = more, less
				}
				lateID, holderID := twoUsers(f, holderIsFirst, late, holder)
				survivor, merged := survivorOf(holderIsFirst, lateID, holderID)
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
	})

	t.Run("keeps the older by created_at before id", func(t *testing.T) {
		f := newFixture(t)
		_, holderID := twoUsers(f, lateFirst, store.Profile{}, store.Profile{})
		f.exec("UPDATE users SET created_at = '2024-01-01' WHERE id = ?", holderID)
		if user, _ := f.login(appA, "oAliceInA", "uAlice"); user.ID != holderID {
			t.Errorf("user %d survives, want %d", user.ID, holderID)
		}
	})

	t.Run("does not change a complete profile", func(t *testing.T) {
		f := newFixture(t)
		full := store.Profile{
			NickName: "H", AvatarURL: "https://a/h", Gender: 1, Country: "c", Province: "p", City: "c", Language: "fr",
		}
		other := store.Profile{NickName: "L", AvatarURL: "https://a/l", Gender: 2, City: "x", Language: "en"}
		_, holderID := twoUsers(f, holderFirst, other, full)
		before := f.user(holderID)
		f.clock.advance(time.Minute)
		f.login(appA, "oAliceInA", "uAlice")
		if got := changed(before, f.user(holderID)); !slices.Equal(got, []string{"last_seen_at", "updated_at"}) {
			t.Errorf("changed %v, want only when it was seen", got)
		}
		f.wantNoOrphans()
	})
}

// wantTombstone checks the row of the user that was merged by the login of Alice in appA.
func wantTombstone(f *fixture, merged, survivor uint64) {
	f.t.Helper()
	row := f.user(merged)
	if row["status"] != "3" || row["merged_into"] != fmt.Sprint(survivor) || row["unionid"] != "NULL" ||
		row["nickname"] != "More" {
		f.t.Errorf("merged row: %v", row)
	}
	record := f.row("SELECT * FROM user_merges")
	now := f.row("SELECT updated_at FROM users WHERE id = ?", merged)["updated_at"]
	for column, want := range map[string]string{
		"survivor_id": fmt.Sprint(survivor), "merged_id": fmt.Sprint(merged), "unionid": "uAlice", "appid": appA, "merged_at": now,
	} {
		if record[column] != want {
			f.t.Errorf("user_merges: %s is %q, want %q", column, record[column], want)
		}
	}
}

func TestUsers_LoginMergeFields(t *testing.T) {
	// What the user typed and what WeChat sent do not overwrite each other: only empty fields are filled.
	t.Run("profile and its source", func(t *testing.T) {
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
			{"typed stays", typed, wechat, "typed", "https://a/typed", "2"},
			{"WeChat stays", wechat, typed, "from WeChat", "https://a/wechat", "1"},
			{"typed is filled by WeChat", nameOnly(typed), wechat, "typed", "https://a/wechat", "2"},
			{"WeChat is filled by typed", nameOnly(wechat), typed, "from WeChat", "https://a/typed", "2"},
			{"none is filled by WeChat", store.Profile{}, wechat, "from WeChat", "https://a/wechat", "1"},
			{"none is filled by typed", store.Profile{}, typed, "typed", "https://a/typed", "2"},
			{"neither has a profile", store.Profile{}, store.Profile{}, "", "", "0"},
		} {
			t.Run(tt.name, func(t *testing.T) {
				f := newFixture(t)
				lateID, _ := twoUsers(f, lateFirst, tt.older, tt.younger)
				f.login(appA, "oAliceInA", "uAlice")
				row := f.user(lateID)
				if row["nickname"] != tt.nickName || row["avatar_url"] != tt.avatar || row["profile_source"] != tt.source {
					t.Errorf("%q %q from %s, want %q %q from %s", row["nickname"], row["avatar_url"], row["profile_source"],
						tt.nickName, tt.avatar, tt.source)
				}
			})
		}
	})

	t.Run("phone number", func(t *testing.T) {
		const bind = "UPDATE users SET phone_country_code = '86', phone_number = ?, phone_bound_at = created_at WHERE id = ?"
		for name, tt := range map[string]struct{ older, younger, want string }{
			"none is filled":   {"", "13800000002", "13800000002"},
			"one stays":        {"13800000001", "13800000002", "13800000001"},
			"neither has one":  {"", "", ""},
			"only_the_older's": {"13800000001", "", "13800000001"},
		} {
			t.Run(name, func(t *testing.T) {
				f := newFixture(t)
				lateID, holderID := twoUsers(f, lateFirst, store.Profile{}, store.Profile{})
				for id, number := range map[uint64]string{lateID: tt.older, holderID: tt.younger} {
					if number != "" {
						f.exec(bind, number, id)
					}
				}
				user, _ := f.login(appA, "oAliceInA", "uAlice")
				if user.ID != lateID || user.Phone.Number != tt.want || user.PhoneBoundAt.IsZero() != (tt.want == "") {
					t.Errorf("user %d has another number, bound at %v", user.ID, user.PhoneBoundAt)
				}
				if again, _ := f.login(appB, "oAliceInB", "uAlice"); again != user {
					t.Error("the row differs from the result of the merge")
				}
			})
		}
	})
}

func TestUsers_LoginMergeBlocked(t *testing.T) {
	for name, holderIsFirst := range orders {
		t.Run("a_disabled_user_is_never_merged/"+name, func(t *testing.T) {
			f := newFixture(t)
			lateID, holderID := twoUsers(f, holderIsFirst, store.Profile{}, store.Profile{})
			f.exec("UPDATE users SET status = 2 WHERE id = ?", lateID)
			late, holder := f.user(lateID), f.user(holderID)
			if user, _ := f.login(appA, "oAliceInA", "uAlice"); user.ID != lateID || user.Active() {
				t.Errorf("user %+v", user)
			}
			if l, h := changed(late, f.user(lateID)), changed(holder, f.user(holderID)); len(l)+len(h) != 0 {
				t.Errorf("changed %v and %v", l, h)
			}
		})
		t.Run("the_block_of_a_disabled_holder_stays/"+name, func(t *testing.T) {
			f := newFixture(t)
			lateID, holderID := twoUsers(f, holderIsFirst, store.Profile{}, store.Profile{})
			survivor, _ := survivorOf(holderIsFirst, lateID, holderID)
			f.exec("UPDATE users SET status = 2 WHERE id = ?", holderID)
			for _, id := range [][2]string{{appA, "oAliceInA"}, {appB, "oAliceInB"}, {appC, "oAliceInC"}} {
				if user, _ := f.login(id[0], id[1], "uAlice"); user.ID != survivor || user.Active() {
					t.Errorf("%s: user %+v", id[0], user)
				}
			}
			f.wantNoOrphans()
		})
	}
	t.Run("a row merged by hand without its identities stays", func(t *testing.T) {
		f := newFixture(t)
		lateID, holderID := twoUsers(f, lateFirst, store.Profile{}, store.Profile{})
		f.exec("UPDATE users SET status = 3, merged_into = ? WHERE id = ?", holderID, lateID)
		if user, _ := f.login(appA, "oAliceInA", "uAlice"); user.ID != lateID || user.Status != store.StatusMerged {
			t.Errorf("user %+v", user)
		}
		if orphans := f.orphans(); len(orphans) != 1 || orphans[0]["fault"] != "identity of a merged user" {
			t.Errorf("orphan query: %v", orphans)
		}
	})
}

func TestUsers_LoginMergeOrder(t *testing.T) {
	// The most frequent order: a profile in one mini-program, a unionid in another, and then in the first too.
	t.Run("profile first and unionid later", func(t *testing.T) {
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
	})

	// A survivor may be merged in turn.
	t.Run("merges in a chain", func(t *testing.T) {
		f := newFixture(t)
		oldest, _ := f.login(appC, "oAliceInC", "")
		f.clock.advance(time.Minute)
		twoUsers := func() (uint64, uint64) {
			late, _ := f.login(appA, "oAliceInA", "")
			holder, _ := f.login(appB, "oAliceInB", "uAlice")
			return late.ID, holder.ID
		}
		lateID, holderID := twoUsers()
		f.login(appA, "oAliceInA", "uAlice") // the holder is merged into late
		f.login(appC, "oAliceInC", "uAlice") // and late into the oldest
		wantOnePerson(f, 3)
		var got []string
		for _, row := range f.rows("SELECT survivor_id, merged_id FROM user_merges ORDER BY id") {
			got = append(got, row["merged_id"]+" into "+row["survivor_id"])
		}
		want := []string{fmt.Sprintf("%d into %d", holderID, lateID), fmt.Sprintf("%d into %d", lateID, oldest.ID)}
		if !slices.Equal(got, want) {
			t.Errorf("merged %q, want %q", got, want)
		}
	})
}

// wantOnePerson checks that all identities belong to one live user, which has the unionid.
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

func TestUsers_LoginMergeConcurrent(t *testing.T) {
	t.Run("many merges of the same users", func(t *testing.T) {
		for name, holderIsFirst := range orders {
			t.Run(name, func(t *testing.T) {
				f := newFixture(t)
				lateID, holderID := twoUsers(f, holderIsFirst,
					store.Profile{AvatarURL: "https://a/late"}, store.Profile{NickName: "Holder"})
				survivor, _ := survivorOf(holderIsFirst, lateID, holderID)
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
					NickName: "Holder", AvatarURL: "https://a/late", City: "Guangzhou", AsOf: user.AsOf, Source: store.SourceWeChat,
				}
				if user.Profile != want {
					t.Errorf("profile %+v\nwant %+v", user.Profile, want)
				}
				wantOnePerson(f, 2)
			})
		}
	})

	// A person opens four mini-programs for the first time, on several devices at the same moment. Some logins come
	// without the unionid at first, and profiles are filled in between. In any order, one user with all of it must
	// result.
	t.Run("first logins of four apps", func(t *testing.T) {
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
	})

	// A merge takes the holder away just before an identity is linked to it.
	t.Run("a merge while an identity is linked", func(t *testing.T) {
		f := newFixture(t)
		lateID, _ := twoUsers(f, lateFirst, store.Profile{}, store.Profile{})
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
		if merge || created || user.ID != lateID {
			t.Errorf("merged between %v, created %v, user %d; want %d", !merge, created, user.ID, lateID)
		}
		wantOnePerson(f, 3)
	})
}

// TestUsers_LoginMergeCrash breaks the connection at each statement of a merge in turn, before it is sent and after,
// and checks the rows.
func TestUsers_LoginMergeCrash(t *testing.T) {
	const statements = 13 // by identity, by unionid, BEGIN, two FOR UPDATE, three UPDATE, INSERT; three for user_changes; COMMIT
	id := store.Identity{AppID: appA, OpenID: "oAliceInA", UnionID: "uAlice"}
	avatar, nickName := store.Profile{AvatarURL: "https://a/late"}, store.Profile{NickName: "Holder"}
	for n := 1; n <= statements; n++ {
		for _, sent := range []bool{false, true} {
			t.Run(fmt.Sprintf("statement_%d_sent_%v", n, sent), func(t *testing.T) {
				f := newFixture(t)
				lateID, holderID := twoUsers(f, lateFirst, avatar, nickName)
				late, holder := f.user(lateID), f.user(holderID)
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
					if l, h := changed(late, f.user(lateID)), changed(holder, f.user(holderID)); len(l)+len(h) != 0 {
						t.Errorf("half a merge: changed %v and %v", l, h)
					}
				}
				user, created, err := f.users.Login(t.Context(), id)
				if err != nil || created || user.ID != lateID || user.AvatarURL != "https://a/late" || user.NickName != "Holder" {
					t.Errorf("the next login: created %v, error %v, user %+v", created, err, user)
				}
				wantOnePerson(f, 2)
			})
		}
	}
	f := newFixture(t)
	twoUsers(f, lateFirst, avatar, nickName)
	f.wire.reset()
	f.login(id.AppID, id.OpenID, id.UnionID)
	if got := f.wire.verbs(); len(got) != statements {
		t.Errorf("a merge takes %d statements, the test breaks %d: %v", len(got), statements, got)
	}
}
