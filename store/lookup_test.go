package store_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"wxlogin/store"
)

func idsOf(users []store.FoundUser) (ids []uint64) {
	for _, user := range users {
		ids = append(ids, user.ID)
	}
	return ids
}

func TestUsers_Lookup(t *testing.T) {
	f := newFixture(t)
	survivor, loser := mergedPair(f, "crm-1", "crm-2")
	bob, _ := f.login(appA, "oBob", "")
	erased, _ := f.login(appA, "oErased", "")
	if _, err := f.users.Erase(t.Context(), erased.ID, byAdmin); err != nil {
		t.Fatal(err)
	}
	before := f.user(bob.ID)
	f.clock.advance(2 * time.Hour)

	found, err := f.users.Lookup(t.Context(), []uint64{bob.ID, loser, 999, survivor, erased.ID, bob.ID})
	if err != nil || !slices.Equal(idsOf(found), []uint64{bob.ID, survivor, erased.ID}) {
		t.Fatalf("found %v and %v", idsOf(found), err)
	}
	if !slices.Equal(found[1].MergedFrom, []uint64{loser}) || found[0].MergedFrom != nil {
		t.Errorf("merged from %v and %v", found[1].MergedFrom, found[0].MergedFrom)
	}
	if got := fmt.Sprint(found[1].Identities); got != fmt.Sprint([]store.KnownIdentity{
		{AppID: appA, OpenID: "oInA", CreatedAt: found[1].CreatedAt}, {AppID: appB, OpenID: "oInB", CreatedAt: found[1].CreatedAt},
	}) {
		t.Errorf("identities %s", got)
	}
	if found[2].Status != store.StatusErased || len(found[2].Identities) != 0 {
		t.Errorf("the erased user is %+v", found[2])
	}
	if columns := changed(before, f.user(bob.ID)); len(columns) != 0 {
		t.Errorf("a lookup has changed %v", columns)
	}
	for _, ids := range [][]uint64{nil, {999}} {
		if found, err := f.users.Lookup(t.Context(), ids); err != nil || len(found) != 0 {
			t.Errorf("%v: %v and %v", ids, found, err)
		}
	}

	t.Run("a merge with a user that is gone", func(t *testing.T) {
		f.exec("UPDATE users SET merged_into = 999 WHERE id = ?", loser)
		found, err := f.users.Lookup(t.Context(), []uint64{loser, bob.ID})
		if err != nil || !slices.Equal(idsOf(found), []uint64{bob.ID}) {
			t.Errorf("found %v and %v", idsOf(found), err)
		}
	})
}

func TestUsers_LookupPhone(t *testing.T) {
	f := newFixture(t)
	number := store.Phone{CountryCode: "86", Number: "13800138000"}
	var want []uint64
	for _, openID := range []string{"oAlice", "oBob"} { // one phone, two people
		user, _ := f.login(appA, openID, "")
		if _, err := f.users.BindPhone(t.Context(), appA, openID, number); err != nil {
			t.Fatal(err)
		}
		want = append(want, user.ID)
	}
	f.login(appA, "oCarol", "")
	for phone, want := range map[string][]uint64{
		"8613800138000": want, "13800138000": nil, "+8613800138000": nil, "86": nil, "": nil, "86138001380%": nil, "８６": nil,
	} {
		found, err := f.users.LookupPhone(t.Context(), phone)
		if err != nil || !slices.Equal(idsOf(found), want) {
			t.Errorf("%q finds %v and %v, want %v", phone, idsOf(found), err, want)
		}
	}
}

// A lookup may be as old as the replica, but what a replica does not have is asked of the primary.
func TestUsers_Lookup_replica(t *testing.T) {
	dsn, rows := newReplica(t)
	r := withReplicas(t, dsn)
	alice, _ := r.login(appA, "oAlice", "")
	bob, _ := r.login(appA, "oBob", "")
	r.replicate(rows, alice.ID, "oAlice")
	r.setExternalID(alice.ID, "crm-1")
	r.wire.reset()
	found, err := r.users.Lookup(t.Context(), []uint64{alice.ID})
	if err != nil || len(found) != 1 || found[0].NickName != "of the replica" || len(found[0].Identities) != 1 {
		t.Errorf("got %+v and %v, want the replica's user", found, err)
	}
	r.wire.wantVerbs(t)
	if user, err := r.users.LookupExternalID(t.Context(), "crm-1"); err != nil || user.ID != alice.ID || user.NickName != "" {
		t.Errorf("got %+v and %v, want the primary's user", user, err)
	}
	if found, err := r.users.Lookup(t.Context(), []uint64{alice.ID, bob.ID}); err != nil || len(found) != 2 || found[0].NickName != "" {
		t.Errorf("got %+v and %v, want both of the primary", found, err)
	}
	if _, err := rows.Exec("DROP TABLE users"); err != nil {
		t.Fatal(err)
	}
	if found, err := r.users.Lookup(t.Context(), []uint64{alice.ID}); err != nil || len(found) != 1 {
		t.Errorf("a replica that fails: %+v and %v", found, err)
	}
	if _, err := r.users.LookupExternalID(t.Context(), "crm-9"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestUsers_Changes(t *testing.T) {
	f := newFixture(t)
	alice, _ := f.login(appA, "oAlice", "")
	for i := range 5 {
		f.setExternalID(alice.ID, fmt.Sprint("crm-", i))
	}
	var seqs []uint64
	for after := uint64(0); ; {
		changes, err := f.users.Changes(t.Context(), after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(changes) == 0 {
			break
		}
		for _, c := range changes {
			if c.Kind != "external_id" || c.UserID != alice.ID || c.Actor != "billing" {
				t.Errorf("got %+v", c)
			}
			seqs = append(seqs, c.Seq)
		}
		after = changes[len(changes)-1].Seq
	}
	if !slices.Equal(seqs, []uint64{1, 2, 3, 4, 5}) {
		t.Errorf("read %v", seqs)
	}
}
