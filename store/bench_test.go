package store_test

import (
	"testing"
	"time"

	"wxlogin/internal/testenv/mysqltest"
	"wxlogin/store"
)

func benchDB(b *testing.B) *store.DB {
	b.Helper()
	db, err := store.Open(mysqltest.New(b), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	if _, err := db.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	return db
}

// BenchmarkUsers_LoginReturning is the hot path, with a prepared statement (as it is) and with an interpolated one;
// one after the other, and in parallel.
func BenchmarkUsers_LoginReturning(b *testing.B) {
	db := benchDB(b)
	id := store.Identity{AppID: appA, OpenID: "oAlice", UnionID: "uAlice"}
	for _, mode := range []struct {
		name  string
		users *store.Users
	}{{"prepared", db.Users()}, {"interpolated", db.Interpolated().Users()}} {
		login := func(b *testing.B) {
			if _, _, err := mode.users.Login(b.Context(), id); err != nil {
				b.Fatal(err)
			}
		}
		login(b)
		b.Run(mode.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				login(b)
			}
		})
		b.Run(mode.name+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(8)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, _, err := mode.users.Login(b.Context(), id); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

func BenchmarkUsers_UpdateProfileUnchanged(b *testing.B) {
	users := benchDB(b).Users()
	if _, _, err := users.Login(b.Context(), store.Identity{AppID: appA, OpenID: "oAlice"}); err != nil {
		b.Fatal(err)
	}
	p := store.Profile{NickName: "Alice", AvatarURL: "https://a/1", Gender: 2, AsOf: time.Now().Add(-time.Minute)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := users.UpdateProfile(b.Context(), appA, "oAlice", p); err != nil {
			b.Fatal(err)
		}
	}
}
