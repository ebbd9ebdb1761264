package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"wxlogin/store"
)

var (
	byPerson = store.Cause{Reason: store.ReasonUser}
	byAdmin  = store.Cause{Reason: store.ReasonAdmin, Actor: "li@example.com", Note: "asked by mail"}
	byWeChat = store.Cause{Reason: store.ReasonWeChat}
)

// traces are what Alice leaves in the tables. oALICE and the others are of another user.
var traces = []string{"oAliceInA", "oAliceInB", "uAlice", "Alice", "Allie", "/avatars/alice", "/avatars/allie", "13800138000", "13900139000"}

// newAlice makes Alice, who was two users, in two apps, with phone numbers and pictures, and one more user whose data look
// alike. It returns their ids.
func newAlice(f *fixture) (alice, merged, other uint64) {
	f.t.Helper()
	merged, alice = twoUsers(f, holderFirst,
		store.Profile{NickName: "Allie", AvatarURL: "/avatars/allie.jpg", Source: store.SourceUser},
		store.Profile{NickName: "Alice", AvatarURL: "/avatars/alice.jpg", Gender: 2, Country: "c", Province: "p", City: "y", Language: "fr"})
	f.bind(appA, "oAliceInA", store.Phone{CountryCode: "86", Number: "13800138000"})
	f.bind(appB, "oAliceInB", store.Phone{CountryCode: "86", Number: "13900139000"})
	lookalike, _ := f.login(appA, "oALICEinA", "UALICE")
	f.update(appA, "oALICEinA", store.Profile{NickName: "ALICE", AvatarURL: "/avatars/ALICE.jpg", City: "y"})
	f.clock.advance(time.Minute)
	if user, _ := f.login(appA, "oAliceInA", "uAlice"); user.ID != alice {
		f.t.Fatalf("user %d survives, want %d", user.ID, alice)
	}
	return alice, merged, lookalike.ID
}

// dump returns every value of every table.
func (f *fixture) dump() string {
	f.t.Helper()
	var all strings.Builder
	for _, table := range []string{"users", "wechat_identities", "user_merges", "user_changes", "login_days", "pending_deletions"} {
		for _, row := range f.rows("SELECT * FROM " + table) {
			fmt.Fprintln(&all, table, row)
		}
	}
	return all.String()
}

// wantErased checks that nothing is left of Alice, and that the erase is on record once. done: the list of deletions was
// worked off.
func (f *fixture) wantErased(alice uint64, done bool) {
	f.t.Helper()
	if done {
		for _, trace := range traces {
			if strings.Contains(f.dump(), trace) {
				f.t.Errorf("%q is left in\n%s", trace, f.dump())
			}
		}
	}
	if user := f.user(alice); user["status"] != "4" || user["merged_into"] != "NULL" {
		f.t.Errorf("user %v", user)
	}
	if erased := f.rows("SELECT * FROM user_changes WHERE kind = 'erased' AND user_id = ?", alice); len(erased) != 1 {
		f.t.Errorf("%d records of the erase", len(erased))
	}
	f.wantNoOrphans()
}

// workOff marks all deletions as done and returns them.
func (f *fixture) workOff(userID uint64) []store.Deletion {
	f.t.Helper()
	deletions, err := f.users.PendingDeletions(f.t.Context(), userID, 0, 100)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, d := range deletions {
		if err := f.users.DeletionDone(f.t.Context(), d.ID); err != nil {
			f.t.Fatal(err)
		}
	}
	return deletions
}

func TestUsers_Erase(t *testing.T) {
	f := newFixture(t)
	alice, merged, other := newAlice(f)
	if _, _, err := f.users.SetStatus(t.Context(), alice, store.StatusDisabled, store.Cause{Reason: "Alice called from 13800138000"}); err != nil {
		t.Fatal(err)
	}
	before := f.user(other)
	f.clock.advance(time.Minute)

	user, err := f.users.Erase(t.Context(), merged, byAdmin) // the id of a merged user stands for its survivor
	if err != nil || user.ID != alice || user.Status != store.StatusErased || user.Profile != (store.Profile{}) || user.UnionID != "" {
		t.Fatalf("%+v, %v", user, err)
	}
	for _, again := range []uint64{alice, merged} {
		if user, err := f.users.Erase(t.Context(), again, byPerson); err != nil || user.ID != alice {
			t.Errorf("again: %+v, %v", user, err)
		}
	}
	var got []string
	for _, d := range f.workOff(alice) {
		got = append(got, d.AppID+d.OpenID+d.AvatarURL)
	}
	slices.Sort(got)
	if want := []string{"/avatars/alice.jpg", "/avatars/allie.jpg", appA + "oAliceInA", appB + "oAliceInB"}; !slices.Equal(got, want) {
		t.Errorf("deletions %v, want %v", got, want)
	}
	f.wantErased(alice, true)
	if got := changed(before, f.user(other)); len(got) != 0 {
		t.Errorf("the other user changed: %v", got)
	}
	if row := f.row("SELECT * FROM user_changes WHERE kind = 'erased'"); row["reason"] != "admin" || row["actor"] != "li@example.com" ||
		row["note"] != "asked by mail" {
		t.Errorf("%v", row)
	}
	if again, created := f.login(appB, "oAliceInB", "uAlice"); !created || again.ID == alice || again.ProfileComplete() || again.Phone.Number != "" {
		t.Errorf("the next login: created %v, %+v", created, again)
	}
	if _, err := f.users.Erase(t.Context(), 999, byAdmin); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown id: %v", err)
	}
}

func TestUsers_EraseIdentity(t *testing.T) {
	for name, tt := range map[string]struct {
		disabled bool
		before   time.Duration // relative to the login
		cause    store.Cause
		erased   bool
	}{
		"by the user":                        {false, 0, byPerson, true},
		"a disabled user by the user":        {true, 0, byPerson, false},
		"a disabled user by WeChat":          {true, time.Second, byWeChat, true},
		"by WeChat":                          {false, time.Second, byWeChat, true},
		"an account newer than WeChat's ask": {false, -time.Second, byWeChat, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			alice, _ := f.login(appA, "oAlice", "")
			if tt.disabled {
				f.exec("UPDATE users SET status = 2")
			}
			var before time.Time
			if tt.before != 0 {
				before = f.clock.now().Add(tt.before)
			}
			user, err := f.users.EraseIdentity(t.Context(), appA, "oAlice", before, tt.cause)
			if err != nil || user.ID != alice.ID || (user.Status == store.StatusErased) != tt.erased {
				t.Errorf("%+v, %v", user, err)
			}
			if tt.erased {
				f.wantErased(alice.ID, false)
				f.wantCounts(1, 0)
			} else {
				f.wantCounts(1, 1)
			}
		})
	}
	f := newFixture(t)
	if _, err := f.users.EraseIdentity(t.Context(), appA, "oUnknown", time.Time{}, byWeChat); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown identity: %v", err)
	}
}

// TestUsers_EraseCrash breaks the connection at each statement of an erase in turn, before it is sent and after, and checks
// the rows: all or nothing, and the next erase ends it.
func TestUsers_EraseCrash(t *testing.T) {
	statements := 0
	for n := 1; n <= max(statements, 1); n++ {
		for _, sent := range []bool{false, true} {
			f := newFixture(t)
			alice, merged, _ := newAlice(f)
			before, beforeMerged := f.user(alice), f.user(merged)
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
			if _, err := f.users.Erase(t.Context(), alice, byPerson); !errors.Is(err, store.ErrUnavailable) {
				t.Fatalf("statement %d, sent %v: %v", n, sent, err)
			}
			f.wire.reset()
			if f.user(alice)["status"] != "4" {
				if got := append(changed(before, f.user(alice)), changed(beforeMerged, f.user(merged))...); len(got) != 0 {
					t.Errorf("statement %d, sent %v: half an erase: %v", n, sent, got)
				}
				if pending := f.rows("SELECT * FROM pending_deletions"); len(pending) != 0 {
					t.Errorf("statement %d, sent %v: %v", n, sent, pending)
				}
			}
			f.wire.reset()
			if _, err := f.users.Erase(t.Context(), alice, byPerson); err != nil {
				t.Fatal(err)
			}
			if n == 1 && !sent {
				statements = len(f.wire.verbs())
			}
			if got := len(f.workOff(alice)); got != 4 {
				t.Errorf("statement %d, sent %v: %d deletions", n, sent, got)
			}
			f.wantErased(alice, true)
		}
	}
	if statements < 15 {
		t.Errorf("an erase takes %d statements", statements)
	}
}

// An erase and a removal reach what a login has committed after they began and before they had the user's lock.
func TestUsers_EraseAfterWait(t *testing.T) {
	inB := store.Identity{AppID: appB, OpenID: "oAliceInB", UnionID: "uAlice"}
	name := func(f *fixture) {
		f.login(inB.AppID, inB.OpenID, "")
		f.update(inB.AppID, inB.OpenID, store.Profile{NickName: "Alice"})
	}
	erase := func(f *fixture, id uint64) error {
		_, err := f.users.Erase(t.Context(), id, byPerson)
		f.workOff(0)
		return err
	}
	remove := func(f *fixture, _ uint64) error {
		_, err := f.users.Remove(t.Context(), appA, "oInA", store.Removal{NickName: true}, byPerson)
		return err
	}
	for _, tt := range []struct {
		name   string
		before func(*fixture)
		work   func(f *fixture, id uint64) error
		gone   string
	}{
		{"erase, another identity", func(*fixture) {}, erase, "oAlice"},
		{"erase, a merge", name, erase, "Alice"},
		{"remove, a merge", name, remove, "nickname:Alice"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if !realServer {
				t.Skip("the embedded engine locks no rows: all connections wait for a transaction")
			}
			f := newFixture(t)
			alice, _ := f.login(appA, "oInA", "uAlice")
			f.clock.advance(time.Minute)
			tt.before(f)
			other := f.secondServer(0).Users()
			var once sync.Once
			f.wire.sabotage(func(sql string) error {
				if strings.Contains(sql, "FOR UPDATE") {
					once.Do(func() {
						if _, _, err := other.Login(t.Context(), inB); err != nil {
							t.Error(err)
						}
					})
				}
				return nil
			}, nil)
			if err := tt.work(f, alice.ID); err != nil {
				t.Fatal(err)
			}
			if got := f.dump(); strings.Contains(got, tt.gone) {
				t.Errorf("%s is left:\n%s", tt.gone, got)
			}
			f.wantNoOrphans()
		})
	}
}

// TestUsers_EraseConcurrent erases a user again and again while it logs in, updates its profile and is merged.
func TestUsers_EraseConcurrent(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	const rounds = 12
	var done sync.WaitGroup
	run := func(work func(i int) error) {
		done.Go(func() {
			for i := range rounds {
				if err := work(i); err != nil && !errors.Is(err, store.ErrNotFound) {
					t.Error(err)
				}
			}
		})
	}
	login := func(app, openID, unionID string) func(int) error {
		return func(int) error {
			_, _, err := f.users.Login(ctx, store.Identity{AppID: app, OpenID: openID, UnionID: unionID})
			return err
		}
	}
	run(login(appA, "oAliceInA", ""))
	run(login(appA, "oAliceInA", "uAlice"))
	run(login(appB, "oAliceInB", "uAlice"))
	run(func(i int) error {
		_, _, err := f.users.UpdateProfile(ctx, appA, "oAliceInA", store.Profile{NickName: "Alice" + strconv.Itoa(i)})
		return err
	})
	run(func(i int) error {
		_, err := f.users.BindPhone(ctx, appB, "oAliceInB", store.Phone{CountryCode: "86", Number: "1380013800" + strconv.Itoa(i)})
		return err
	})
	for _, id := range [][2]string{{appA, "oAliceInA"}, {appB, "oAliceInB"}} {
		run(func(int) error {
			_, err := f.users.EraseIdentity(ctx, id[0], id[1], time.Time{}, byPerson)
			return err
		})
	}
	done.Wait()
	for _, id := range [][2]string{{appA, "oAliceInA"}, {appB, "oAliceInB"}} {
		if _, err := f.users.EraseIdentity(ctx, id[0], id[1], time.Time{}, byPerson); err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
	}
	f.workOff(0)
	for _, trace := range []string{"oAliceIn", "uAlice", "Alice", "1380013800"} {
		if strings.Contains(f.dump(), trace) {
			t.Errorf("%q is left in\n%s", trace, f.dump())
		}
	}
	f.wantNoOrphans()
	f.wantChangesMatch()
}
