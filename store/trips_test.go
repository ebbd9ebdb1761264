package store_test

import (
	"testing"
	"time"

	"wxlogin/store"
)

// TestUsers_trips counts what each call sends to the server, all of it: each statement is one trip on the wire.
func TestUsers_trips(t *testing.T) {
	for _, tt := range []struct {
		name string
		call func(f *fixture)
		want []string
	}{
		{"returning", func(f *fixture) { f.login(appA, "oAlice", "uAlice") }, []string{"SELECT"}},
		{"returning_after_the_hour", func(f *fixture) {
			f.clock.advance(time.Hour)
			f.login(appA, "oAlice", "uAlice")
		}, []string{"SELECT", "UPDATE"}},
		{"new", func(f *fixture) { f.login(appA, "oBob", "") }, []string{"SELECT", "BEGIN", "INSERT", "INSERT", "COMMIT"}},
		{"new_with_unionid", func(f *fixture) { f.login(appA, "oBob", "uBob") },
			[]string{"SELECT", "SELECT", "BEGIN", "INSERT", "INSERT", "COMMIT"}},
		{"known_in_another_app", func(f *fixture) { f.login(appB, "oAliceInB", "uAlice") },
			[]string{"SELECT", "SELECT", "BEGIN", "SELECT", "INSERT", "COMMIT"}},
		{"find", func(f *fixture) { f.users.Find(t.Context(), appA, "oAlice") }, []string{"SELECT"}},
		{"find_nobody", func(f *fixture) { f.users.Find(t.Context(), appA, "oNobody") }, []string{"SELECT"}},
		{"update_unchanged", func(f *fixture) { f.update(appA, "oAlice", store.Profile{NickName: "Alice"}) }, []string{"SELECT"}},
		{"update_changed", func(f *fixture) { f.update(appA, "oAlice", store.Profile{NickName: "Alicia"}) },
			[]string{"SELECT", "UPDATE"}},
		{"phone_unchanged", func(f *fixture) { f.bind(appA, "oAlice", firstPhone) }, []string{"SELECT"}},
		{"phone_changed", func(f *fixture) { f.bind(appA, "oAlice", secondPhone) }, []string{"SELECT", "UPDATE"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			f.warmUp()
			f.wire.reset()
			tt.call(f)
			f.wire.wantVerbs(t, tt.want...)
			f.wire.wantNothingPrepared(t)
		})
	}
}

// warmUp makes Alice, and has the connection prepare what is prepared.
func (f *fixture) warmUp() {
	f.t.Helper()
	f.login(appA, "oAlice", "uAlice")
	f.clock.advance(time.Hour)
	f.login(appA, "oAlice", "uAlice")
	f.update(appA, "oAlice", store.Profile{NickName: "Alice"})
	f.bind(appA, "oAlice", firstPhone)
}
