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

func TestUsers_Login_second_app(t *testing.T) {
	f := newFixture(t)
	first, _ := f.login(appA, "oAliceInA", "uAlice")
	f.update(appA, "oAliceInA", store.Profile{NickName: "Alice"})
	f.clock.advance(2 * time.Hour)
	second, created := f.login(appB, "oAliceInB", "uAlice")
	if created || second.ID != first.ID || second.NickName != "Alice" {
		t.Errorf("created %v, user %d %q; want user %d", created, second.ID, second.NickName, first.ID)
	}
	if !second.LastLoginAt.Equal(f.clock.now().Truncate(time.Millisecond)) {
		t.Errorf("the login is not recorded: %v", second.LastLoginAt)
	}
	f.wantCounts(1, 2)

	f.exec("UPDATE users SET status = 2 WHERE id = ?", first.ID)
	if third, created := f.login(appC, "oAliceInC", "uAlice"); created || !third.Disabled() {
		t.Errorf("a blocked person comes in by another app: created %v, status %d", created, third.Status)
	}
}

func TestUsers_Login_unionid_turns_up_later(t *testing.T) {
	t.Run("nobody_holds_it", func(t *testing.T) {
		f := newFixture(t)
		user, _ := f.login(appA, "oAlice", "")
		before := f.user(user.ID)
		f.clock.advance(time.Minute)
		f.wire.reset()
		user, created := f.login(appA, "oAlice", "uAlice")
		f.wire.wantVerbs(t, "SELECT", "SELECT", "UPDATE")
		if created || user.UnionID != "uAlice" {
			t.Errorf("created %v, unionid %q", created, user.UnionID)
		}
		got := changed(before, f.user(user.ID))
		slices.Sort(got)
		if !slices.Equal(got, []string{"unionid", "updated_at"}) {
			t.Errorf("changed %v", got)
		}
		if again, _ := f.login(appA, "oAlice", ""); again != user {
			t.Errorf("a login without unionid changes it:\n got %+v\nwant %+v", again, user)
		}
	})

	t.Run("a_disabled_user_gets_it_and_stays_disabled", func(t *testing.T) {
		f := newFixture(t)
		user, _ := f.login(appA, "oAlice", "")
		f.exec("UPDATE users SET status = 2 WHERE id = ?", user.ID)
		if user, _ = f.login(appA, "oAlice", "uAlice"); !user.Disabled() || user.UnionID != "uAlice" {
			t.Errorf("user %+v", user)
		}
		if other, created := f.login(appB, "oAliceInB", "uAlice"); created || !other.Disabled() {
			t.Error("the block does not hold in the second app")
		}
	})

	t.Run("another_one_is_on_record", func(t *testing.T) {
		f := newFixture(t)
		user, _ := f.login(appA, "oAlice", "uOld")
		other, _ := f.login(appB, "oBob", "uNew")
		f.wire.reset()
		got, _ := f.login(appA, "oAlice", "uNew")
		f.wire.wantVerbs(t, "SELECT")
		if got != user || got.ID == other.ID {
			t.Errorf("user %+v, want %+v", got, user)
		}
		if logs := f.logs.String(); !strings.Contains(logs, "unionid") || strings.Contains(logs, "uNew") || strings.Contains(logs, "oAlice") {
			t.Errorf("log %q: wants a warning without values", logs)
		}
	})

	t.Run("many_at_once", func(t *testing.T) {
		f := newFixture(t)
		user, _ := f.login(appA, "oAlice", "")
		together(32, func(int) {
			got, _, err := f.users.Login(t.Context(), store.Identity{AppID: appA, OpenID: "oAlice", UnionID: "uAlice"})
			if err != nil || got.ID != user.ID || got.UnionID != "uAlice" {
				t.Errorf("user %d %q, error %v", got.ID, got.UnionID, err)
			}
		})
		f.wantCounts(1, 1)
	})
}

// twoUsers makes one person with two users: left in appA without unionid, holder in appB with it.
func twoUsers(f *fixture, left, holder store.Profile) (leftID, holderID uint64) {
	f.t.Helper()
	l, _ := f.login(appA, "oAliceInA", "")
	f.update(appA, "oAliceInA", left)
	h, _ := f.login(appB, "oAliceInB", "uAlice")
	f.update(appB, "oAliceInB", holder)
	f.wantCounts(2, 2)
	return l.ID, h.ID
}

func TestUsers_Login_merges(t *testing.T) {
	f := newFixture(t)
	leftID, holderID := twoUsers(f,
		store.Profile{NickName: "Left", AvatarURL: "https://a/left", Gender: 2, City: "Guangzhou", Language: "en"},
		store.Profile{NickName: "Holder"})
	before := f.user(holderID)
	f.clock.advance(time.Minute)

	user, created := f.login(appA, "oAliceInA", "uAlice")
	if created || user.ID != holderID || user.UnionID != "uAlice" {
		t.Fatalf("created %v, user %d; want %d", created, user.ID, holderID)
	}
	want := store.Profile{NickName: "Holder", AvatarURL: "https://a/left", Gender: 2, City: "Guangzhou", Language: "en", AsOf: user.AsOf}
	if user.Profile != want {
		t.Errorf("profile %+v\nwant %+v", user.Profile, want)
	}
	for _, id := range [][2]string{{appA, "oAliceInA"}, {appB, "oAliceInB"}} {
		if again, _ := f.login(id[0], id[1], "uAlice"); again != user {
			t.Errorf("%s reads\n %+v\nwant %+v", id[0], again, user)
		}
	}
	left, after := f.user(leftID), f.user(holderID)
	if left["status"] != "3" || left["merged_into"] != fmt.Sprint(holderID) || left["unionid"] != "NULL" || left["nickname"] != "Left" {
		t.Errorf("left behind: %v", left)
	}
	if after["profile_as_of"] != before["profile_as_of"] || after["created_at"] != before["created_at"] || after["updated_at"] == before["updated_at"] {
		t.Errorf("survivor %v\nbefore %v", after, before)
	}
	f.wantCounts(2, 2)
	f.wantNoOrphans()

	f.wire.reset()
	f.login(appA, "oAliceInA", "uAlice")
	f.wire.wantVerbs(t, "SELECT")
	if user := f.update(appA, "oAliceInA", store.Profile{NickName: "New"}); user.ID != holderID || user.NickName != "New" {
		t.Errorf("an update by the moved identity goes to %+v", user)
	}
}

func TestUsers_Login_merge_into_a_complete_profile_changes_no_profile(t *testing.T) {
	f := newFixture(t)
	full := store.Profile{NickName: "H", AvatarURL: "https://a/h", Gender: 1, Country: "c", Province: "p", City: "c", Language: "fr"}
	_, holderID := twoUsers(f, store.Profile{NickName: "L", AvatarURL: "https://a/l", Gender: 2, City: "x", Language: "en"}, full)
	before := f.user(holderID)
	f.clock.advance(time.Minute)
	f.login(appA, "oAliceInA", "uAlice")
	if got := changed(before, f.user(holderID)); len(got) != 0 {
		t.Errorf("changed %v", got)
	}
	f.wantNoOrphans()
}

func TestUsers_Login_merge_and_blocks(t *testing.T) {
	t.Run("a_disabled_user_is_never_merged_away", func(t *testing.T) {
		f := newFixture(t)
		leftID, holderID := twoUsers(f, store.Profile{}, store.Profile{})
		f.exec("UPDATE users SET status = 2 WHERE id = ?", leftID)
		left, holder := f.user(leftID), f.user(holderID)
		if user, _ := f.login(appA, "oAliceInA", "uAlice"); user.ID != leftID || !user.Disabled() {
			t.Errorf("user %+v", user)
		}
		if l, h := changed(left, f.user(leftID)), changed(holder, f.user(holderID)); len(l)+len(h) != 0 {
			t.Errorf("changed %v and %v", l, h)
		}
	})
	t.Run("a_disabled_holder_survives_disabled", func(t *testing.T) {
		f := newFixture(t)
		_, holderID := twoUsers(f, store.Profile{}, store.Profile{})
		f.exec("UPDATE users SET status = 2 WHERE id = ?", holderID)
		if user, _ := f.login(appA, "oAliceInA", "uAlice"); user.ID != holderID || !user.Disabled() {
			t.Errorf("user %+v", user)
		}
		f.wantNoOrphans()
	})
	t.Run("a_row_merged_by_hand_without_its_identities_stays", func(t *testing.T) {
		f := newFixture(t)
		leftID, holderID := twoUsers(f, store.Profile{}, store.Profile{})
		f.exec("UPDATE users SET status = 3, merged_into = ? WHERE id = ?", holderID, leftID)
		if user, _ := f.login(appA, "oAliceInA", "uAlice"); user.ID != leftID || user.Status != store.StatusMerged {
			t.Errorf("user %+v", user)
		}
		if faults := f.orphans(); len(faults) != 1 || faults[0]["fault"] != "identity of a merged user" {
			t.Errorf("orphan query: %v", faults)
		}
	})
}

func TestUsers_Login_merge_many_at_once(t *testing.T) {
	f := newFixture(t)
	_, holderID := twoUsers(f, store.Profile{AvatarURL: "https://a/left"}, store.Profile{NickName: "Holder"})
	together(32, func(i int) {
		id := store.Identity{AppID: appA, OpenID: "oAliceInA", UnionID: "uAlice"}
		if i%2 == 1 {
			id = store.Identity{AppID: appB, OpenID: "oAliceInB", UnionID: "uAlice"}
		}
		if i%4 == 0 {
			if _, err := f.users.UpdateProfile(t.Context(), appA, "oAliceInA", store.Profile{City: "Guangzhou"}); err != nil {
				t.Error(err)
			}
		}
		if user, _, err := f.users.Login(t.Context(), id); err != nil || user.ID != holderID {
			t.Errorf("user %d, error %v", user.ID, err)
		}
	})
	user, _ := f.login(appA, "oAliceInA", "uAlice")
	want := store.Profile{NickName: "Holder", AvatarURL: "https://a/left", City: "Guangzhou", AsOf: user.AsOf}
	if user.Profile != want {
		t.Errorf("profile %+v\nwant %+v", user.Profile, want)
	}
	f.wantCounts(2, 2)
	f.wantNoOrphans()
}

// TestUsers_Login_merge_survives_a_crash breaks the connection at each statement of a merge in turn, before it is sent
// and after it has been, and looks at what is left.
func TestUsers_Login_merge_survives_a_crash(t *testing.T) {
	const statements = 9 // by identity, by unionid, BEGIN, two FOR UPDATE, three UPDATE, COMMIT
	id := store.Identity{AppID: appA, OpenID: "oAliceInA", UnionID: "uAlice"}
	for n := 1; n <= statements; n++ {
		for _, sent := range []bool{false, true} {
			t.Run(fmt.Sprintf("statement_%d_sent_%v", n, sent), func(t *testing.T) {
				f := newFixture(t)
				leftID, holderID := twoUsers(f, store.Profile{AvatarURL: "https://a/left"}, store.Profile{NickName: "Holder"})
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
				if err != nil || created || user.ID != holderID || user.AvatarURL != "https://a/left" || user.NickName != "Holder" {
					t.Errorf("the next login: created %v, error %v, user %+v", created, err, user)
				}
				f.wantNoOrphans()
			})
		}
	}
	f := newFixture(t)
	twoUsers(f, store.Profile{AvatarURL: "https://a/left"}, store.Profile{NickName: "Holder"})
	f.wire.reset()
	f.login(id.AppID, id.OpenID, id.UnionID)
	if got := f.wire.verbs(); len(got) != statements {
		t.Errorf("a merge takes %d statements, the test breaks %d: %v", len(got), statements, got)
	}
}
