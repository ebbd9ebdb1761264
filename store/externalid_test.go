package store_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"wxlogin/store"
)

var byBilling = store.Cause{Actor: "billing"}

func (f *fixture) setExternalID(id uint64, externalID string) {
	f.t.Helper()
	user, err := f.users.SetExternalID(f.t.Context(), id, externalID, byBilling)
	if err != nil || user.ID != id || user.ExternalID != externalID {
		f.t.Fatalf("got %+v and %v", user, err)
	}
}

func TestUsers_SetExternalID(t *testing.T) {
	t.Run("is written and recorded once", func(t *testing.T) {
		f := newFixture(t)
		alice, _ := f.login(appA, "oAlice", "")
		bob, _ := f.login(appA, "oBob", "")
		for _, id := range []string{"crm-1", "crm-1", "CRM-1", ""} {
			f.setExternalID(alice.ID, id)
		}
		f.setExternalID(bob.ID, "crm-1")
		if got := f.user(bob.ID)["external_id"]; got != "crm-1" {
			t.Errorf("external_id is %q", got)
		}
		if got := f.user(alice.ID)["external_id"]; got != "NULL" {
			t.Errorf("external_id is %q after it was taken away", got)
		}
		var kinds []string
		for _, row := range f.rows("SELECT CONCAT(kind, ' ', user_id, ' ', actor) AS c FROM user_changes ORDER BY seq") {
			kinds = append(kinds, row["c"])
		}
		a, b := fmt.Sprintf("external_id %d billing", alice.ID), fmt.Sprintf("external_id %d billing", bob.ID)
		if want := strings.Join([]string{a, a, a, b}, ","); strings.Join(kinds, ",") != want {
			t.Errorf("user_changes has %v, want %s", kinds, want)
		}
	})

	t.Run("is compared exactly", func(t *testing.T) {
		f := newFixture(t)
		alice, _ := f.login(appA, "oAlice", "")
		bob, _ := f.login(appA, "oBob", "")
		f.setExternalID(alice.ID, "crm-a")
		f.setExternalID(bob.ID, "CRM-a")
		for _, id := range []string{"crm-A", "crm-", "crm-a%", "crm-a "} {
			if _, err := f.users.LookupExternalID(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%q: %v", id, err)
			}
		}
	})

	t.Run("refused", func(t *testing.T) {
		f := newFixture(t)
		alice, _ := f.login(appA, "oAlice", "")
		bob, _ := f.login(appA, "oBob", "")
		f.setExternalID(alice.ID, "crm-1")
		for id, want := range map[string]error{
			"crm-1": store.ErrTaken, "a b": store.ErrExternalID, "ä": store.ErrExternalID, strings.Repeat("x", 129): store.ErrExternalID,
		} {
			if _, err := f.users.SetExternalID(t.Context(), bob.ID, id, byBilling); !errors.Is(err, want) {
				t.Errorf("%q: %v, want %v", id, err, want)
			}
		}
		f.setExternalID(bob.ID, strings.Repeat("x", 128))
		if _, err := f.users.Erase(t.Context(), bob.ID, byAdmin); err != nil {
			t.Fatal(err)
		}
		for _, id := range []uint64{bob.ID, 999} {
			if _, err := f.users.SetExternalID(t.Context(), id, "crm-2", byBilling); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("user %d: %v", id, err)
			}
		}
		if got := f.user(bob.ID)["external_id"]; got != "NULL" {
			t.Errorf("an erased user has the external id %q", got)
		}
	})

	t.Run("one of several concurrent calls gets it", func(t *testing.T) {
		f := newFixture(t)
		var ids []uint64
		for i := range 8 {
			user, _ := f.login(appA, fmt.Sprintf("o%d", i), "")
			ids = append(ids, user.ID)
		}
		var calls sync.WaitGroup
		errs := make([]error, len(ids))
		for i, id := range ids {
			calls.Go(func() { _, errs[i] = f.users.SetExternalID(t.Context(), id, "crm-1", byBilling) })
		}
		calls.Wait()
		given := 0
		for _, err := range errs {
			if err == nil {
				given++
			} else if !errors.Is(err, store.ErrTaken) {
				t.Error(err)
			}
		}
		if rows := f.rows("SELECT id FROM users WHERE external_id = 'crm-1'"); given != 1 || len(rows) != 1 {
			t.Errorf("%d calls succeeded, %d users have it", given, len(rows))
		}
		if rows := f.rows("SELECT seq FROM user_changes"); len(rows) != 1 {
			t.Errorf("%d changes are on record", len(rows))
		}
	})
}

// mergedPair returns two users that were merged, the survivor first, after each got an external id; "" = none.
func mergedPair(f *fixture, ofSurvivor, ofLoser string) (survivor, loser uint64) {
	older, _ := f.login(appA, "oInA", "")
	younger, _ := f.login(appB, "oInB", "uOne")
	for id, externalID := range map[uint64]string{older.ID: ofSurvivor, younger.ID: ofLoser} {
		if externalID != "" {
			f.setExternalID(id, externalID)
		}
	}
	f.login(appA, "oInA", "uOne")
	return older.ID, younger.ID
}

func TestMerge_ExternalID(t *testing.T) {
	for _, tt := range []struct{ ofSurvivor, ofLoser, survivorHas, loserHas string }{
		{"", "crm-2", "crm-2", "NULL"}, {"crm-1", "", "crm-1", "NULL"}, {"crm-1", "crm-2", "crm-1", "crm-2"},
	} {
		f := newFixture(t)
		survivor, loser := mergedPair(f, tt.ofSurvivor, tt.ofLoser)
		if got := f.user(survivor)["external_id"]; got != tt.survivorHas {
			t.Errorf("%+v: the survivor has %s", tt, got)
		}
		if got := f.user(loser)["external_id"]; got != tt.loserHas {
			t.Errorf("%+v: the other one has %s", tt, got)
		}
		for _, id := range []string{tt.ofSurvivor, tt.ofLoser} {
			if id == "" {
				continue
			}
			if user, err := f.users.LookupExternalID(t.Context(), id); err != nil || user.ID != survivor {
				t.Errorf("%s finds user %d and %v, want the survivor", id, user.ID, err)
			}
		}
	}

	t.Run("the loser's moves to the survivor, to no other user", func(t *testing.T) {
		f := newFixture(t)
		survivor, loser := mergedPair(f, "crm-1", "crm-2")
		other, _ := f.login(appA, "oOther", "")
		if _, err := f.users.SetExternalID(t.Context(), other.ID, "crm-2", byBilling); !errors.Is(err, store.ErrTaken) {
			t.Errorf("another user: %v", err)
		}
		f.setExternalID(survivor, "crm-2")
		if got := f.user(loser)["external_id"]; got != "NULL" {
			t.Errorf("the merged user still has %s", got)
		}
		if _, err := f.users.SetExternalID(t.Context(), loser, "crm-3", byBilling); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the merged user: %v", err)
		}
	})

	t.Run("an erase takes both", func(t *testing.T) {
		f := newFixture(t)
		survivor, _ := mergedPair(f, "crm-1", "crm-2")
		if _, err := f.users.Erase(t.Context(), survivor, byAdmin); err != nil {
			t.Fatal(err)
		}
		if rows := f.rows("SELECT id FROM users WHERE external_id IS NOT NULL"); len(rows) != 0 {
			t.Errorf("%v still have an external id", rows)
		}
	})
}
