package store_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"wxlogin/store"
)

func TestUsers_Search(t *testing.T) {
	f := newFixture(t)
	named := func(openID, unionID, nickName string) uint64 {
		user, _ := f.login(appA, openID, unionID)
		f.update(appA, openID, store.Profile{NickName: nickName})
		return user.ID
	}
	alice, ming := named("oAlice", "uAlice", "Alice"), named("oMing", "", "小明同学")
	odd, bar := named("oOdd", "", `100%_\`), named("oBar", "", "a|b")
	f.login(appB, "oAlice", "uAlice")
	f.bind(appA, "oAlice", store.Phone{CountryCode: "86", Number: "13800138000"})
	f.bind(appA, "oMing", store.Phone{CountryCode: "1", Number: "3800138000"})
	for _, tt := range []struct {
		query store.Query
		want  []uint64
	}{
		{store.Query{OpenID: "oAlice"}, []uint64{alice}},
		{store.Query{OpenID: "oalice"}, nil},
		{store.Query{OpenID: "小明"}, nil},
		{store.Query{UnionID: "uAlice"}, []uint64{alice}},
		{store.Query{UnionID: "UALICE"}, nil},
		{store.Query{UnionID: "小明"}, nil},
		{store.Query{NickName: "aLI"}, []uint64{alice}},
		{store.Query{NickName: "a"}, []uint64{alice, bar}},
		{store.Query{NickName: "a|"}, []uint64{bar}},
		{store.Query{NickName: "小"}, []uint64{ming}},
		{store.Query{NickName: "小明同学"}, []uint64{ming}},
		{store.Query{NickName: "明"}, nil},
		{store.Query{NickName: "%"}, nil},
		{store.Query{NickName: "_"}, nil},
		{store.Query{NickName: `100%_\`}, []uint64{odd}},
		{store.Query{NickName: "😀"}, nil},
		{store.Query{Phone: "13800138000"}, []uint64{alice, ming}}, // +86 138… and +1 380…
		{store.Query{Phone: "8613800138000"}, []uint64{alice}},
		{store.Query{Phone: "3800138000"}, []uint64{ming}},
		{store.Query{Phone: "138001380001"}, nil},
		{store.Query{Phone: "１３８"}, nil},
	} {
		users, err := f.users.Search(t.Context(), tt.query, 10)
		var got []uint64
		for _, user := range users {
			got = append(got, user.ID)
		}
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%+v: %v, want %v (%v)", tt.query, got, tt.want, err)
		}
	}
	if users, err := f.users.Search(t.Context(), store.Query{NickName: "a"}, 1); err != nil || len(users) != 1 {
		t.Errorf("%d users, want one: %v", len(users), err)
	}
	counts, err := f.users.CountIdentities(t.Context(), []uint64{alice, ming, 999})
	if err != nil || fmt.Sprint(counts) != fmt.Sprint(map[uint64]int{alice: 2, ming: 1}) {
		t.Errorf("identities %v, %v", counts, err)
	}
}

// It says when an identity was made, and does not count as a request of the user.
func TestUsers_Identity(t *testing.T) {
	f := newFixture(t)
	f.login(appA, "oAlice", "")
	created := f.clock.now().UTC().Truncate(time.Millisecond)
	f.clock.advance(48 * time.Hour)
	before := f.dump()
	known, err := f.users.Identity(t.Context(), appA, "oAlice")
	if err != nil || known.AppID != appA || known.OpenID != "oAlice" || !known.CreatedAt.Equal(created) {
		t.Errorf("%+v, %v", known, err)
	}
	if _, err := f.users.Identity(t.Context(), appB, "oAlice"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another mini-program: %v", err)
	}
	if _, err := f.users.Identity(t.Context(), appA, "微信"); !errors.Is(err, store.ErrIdentity) {
		t.Errorf("malformed: %v", err)
	}
	if f.dump() != before {
		t.Error("something was written")
	}
}

func TestUsers_Record_Merges(t *testing.T) {
	f := newFixture(t)
	alice, merged, _ := newAlice(f)
	for _, id := range []uint64{alice, merged} {
		r, err := f.users.Record(t.Context(), id)
		if err != nil || len(r.Merges) != 1 || r.Merges[0].At.IsZero() {
			t.Fatalf("user %d: merges %+v, %v", id, r.Merges, err)
		}
		r.Merges[0].At = time.Time{}
		if want := (store.Merge{MergedID: merged, SurvivorID: alice, UnionID: "uAlice", AppID: r.Merges[0].AppID}); r.Merges[0] != want {
			t.Errorf("user %d: %+v, want %+v", id, r.Merges[0], want)
		}
	}
}
