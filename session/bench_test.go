package session_test

import (
	"context"
	"fmt"
	"testing"

	"wxlogin/session"
)

func BenchmarkStore_Create(b *testing.B) {
	f := newFixture(b)
	ctx := context.Background()
	n := 0
	for b.Loop() {
		n++
		if _, err := f.Create(ctx, session.Session{AppID: appID, OpenID: fmt.Sprint("o", n), SessionKey: sessionKey}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStore_Lookup(b *testing.B) {
	f := newFixture(b)
	ctx := context.Background()
	token := f.login(b, openID, sessionKey)
	for b.Loop() {
		if _, err := f.Lookup(ctx, token); err != nil {
			b.Fatal(err)
		}
	}
}
