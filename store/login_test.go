package store_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"wxlogin/store"
)

func TestUsers_Login(t *testing.T) {
	t.Run("first login creates", func(t *testing.T) {
		f := newFixture(t)
		user, created := f.login(appA, "oAlice", "uAlice")
		now := f.clock.now().Truncate(time.Millisecond)
		if !created || user.ID == 0 || user.UnionID != "uAlice" || user.Status != store.StatusActive || user.ProfileComplete() {
			t.Errorf("created %v, user %+v", created, user)
		}
		if !user.CreatedAt.Equal(now) || !user.UpdatedAt.Equal(now) || !user.LastLoginAt.Equal(now) {
			t.Errorf("times %v %v %v, want %v", user.CreatedAt, user.UpdatedAt, user.LastLoginAt, now)
		}
		f.wire.wantVerbs(t, "SELECT", "SELECT", "BEGIN", "INSERT", "INSERT", "COMMIT")
		f.wantCounts(1, 1)

		again, created := f.login(appA, "oAlice", "uAlice")
		if created || again != user {
			t.Errorf("read back: created %v\n got %+v\nwant %+v", created, again, user)
		}
	})

	t.Run("returning within the hour is one select", func(t *testing.T) {
		f := newFixture(t)
		f.login(appA, "oAlice", "uAlice")
		f.clock.advance(time.Hour - time.Second)
		f.wire.reset()
		f.login(appA, "oAlice", "uAlice")
		f.login(appA, "oAlice", "")
		f.wire.wantVerbs(t, "SELECT", "SELECT")
	})

	t.Run("returning after the hour is one update", func(t *testing.T) {
		f := newFixture(t)
		user, _ := f.login(appA, "oAlice", "")
		before := f.user(user.ID)
		f.clock.advance(time.Hour)
		f.wire.reset()
		user, _ = f.login(appA, "oAlice", "")
		f.wire.wantVerbs(t, "SELECT", "UPDATE")
		if want := f.clock.now().Truncate(time.Millisecond); !user.LastLoginAt.Equal(want) {
			t.Errorf("last login %v, want %v", user.LastLoginAt, want)
		}
		if got := changed(before, f.user(user.ID)); len(got) != 1 || got[0] != "last_login_at" {
			t.Errorf("changed %v, want last_login_at only", got)
		}
		f.wire.reset()
		f.login(appA, "oAlice", "")
		f.wire.wantVerbs(t, "SELECT")
	})

	t.Run("a disabled user is returned and not touched", func(t *testing.T) {
		f := newFixture(t)
		user, _ := f.login(appA, "oAlice", "")
		f.exec("UPDATE users SET status = 2 WHERE id = ?", user.ID)
		f.clock.advance(48 * time.Hour)
		f.wire.reset()
		user, created := f.login(appA, "oAlice", "")
		if created || user.Active() {
			t.Errorf("created %v, active %v", created, user.Active())
		}
		f.wire.wantVerbs(t, "SELECT")
	})
}

func TestUsers_LoginIdentities(t *testing.T) {
	f := newFixture(t)
	lower, _ := f.login(appA, "oabcDEF-_1", "")
	upper, created := f.login(appA, "oABCdef-_1", "")
	if !created || lower.ID == upper.ID {
		t.Fatal("openids that differ in case are one user")
	}
	f.update(appA, "oabcDEF-_1", store.Profile{NickName: "lower"})
	if got, _ := f.login(appA, "oABCdef-_1", ""); got.NickName != "" {
		t.Errorf("the other one's profile: %q", got.NickName)
	}
	if _, _, err := f.users.UpdateProfile(t.Context(), appA, "oABCDEF-_1", store.Profile{NickName: "x"}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a third spelling: %v, want ErrNotFound", err)
	}

	other, created := f.login(appB, "oabcDEF-_1", "")
	if !created || other.ID == lower.ID || other.NickName != "" {
		t.Error("one openid in two appids is one user")
	}
	one, _ := f.login(appA, "oOne", "uPerson")
	two, created := f.login(appA, "oTwo", "uPERSON")
	if !created || one.ID == two.ID {
		t.Error("unionids that differ in case are one user")
	}
	f.wantCounts(5, 5)
}

func TestUsers_LoginConcurrent(t *testing.T) {
	t.Run("first logins create one user", func(t *testing.T) {
		const n = 64
		run := func(t *testing.T, unionID string, apps ...string) {
			f := newFixture(t)
			var creations atomic.Int32
			ids := make([]uint64, n)
			concurrently(n, func(i int) {
				user, created, err := f.users.Login(t.Context(), store.Identity{AppID: apps[i%len(apps)], OpenID: "oAlice", UnionID: unionID})
				if err != nil {
					t.Error(err)
				}
				if created {
					creations.Add(1)
				}
				ids[i] = user.ID
			})
			if got := creations.Load(); got != 1 {
				t.Errorf("created %d times, want 1", got)
			}
			for _, id := range ids {
				if id != ids[0] {
					t.Fatalf("several users: %v", ids)
				}
			}
			f.wantCounts(1, len(apps))
			f.wantNoOrphans()
		}
		t.Run("one identity", func(t *testing.T) { run(t, "", appA) })
		t.Run("one identity with unionid", func(t *testing.T) { run(t, "uAlice", appA) })
		t.Run("several apps with unionid", func(t *testing.T) { run(t, "uAlice", appA, appB, appC) })
	})

	t.Run("returning logins after the hour write once", func(t *testing.T) {
		f := newFixture(t)
		f.login(appA, "oAlice", "")
		f.clock.advance(2 * time.Hour)
		f.clock.tick = time.Millisecond // each login has another time to write
		start := f.clock.now().Truncate(time.Millisecond)
		f.wire.reset()
		concurrently(32, func(int) {
			if _, created, err := f.users.Login(t.Context(), store.Identity{AppID: appA, OpenID: "oAlice"}); err != nil || created {
				t.Errorf("created %v, error %v", created, err)
			}
		})
		var written int64
		for _, s := range f.wire.statements() {
			written += s.affected
		}
		if written != 1 {
			t.Errorf("last_login_at written %d times, want 1", written)
		}
		if user, _ := f.login(appA, "oAlice", ""); !user.LastLoginAt.After(start) || user.LastLoginAt.After(start.Add(time.Second)) {
			t.Errorf("last login %v, want soon after %v", user.LastLoginAt, start)
		}
	})
}

func TestUsers_LoginInvalidIdentity(t *testing.T) {
	f := newFixture(t)
	for name, id := range map[string]store.Identity{
		"no openid":             {AppID: appA},
		"no appid":              {OpenID: "oAlice"},
		"unionid alone":         {UnionID: "uAlice"},
		"space at the end":      {AppID: appA, OpenID: "oAlice "},
		"not ascii":             {AppID: appA, OpenID: "oÄlice"},
		"control character":     {AppID: appA, OpenID: "oAlice", UnionID: "u\x00"},
		"openid longer than 64": {AppID: appA, OpenID: strings.Repeat("o", 65)},
		"appid longer than 32":  {AppID: strings.Repeat("w", 33), OpenID: "oAlice"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, created, err := f.users.Login(t.Context(), id); created || !errors.Is(err, store.ErrIdentity) {
				t.Errorf("Login: created %v, error %v", created, err)
			}
			if _, _, err := f.users.UpdateProfile(t.Context(), "", id.OpenID, store.Profile{NickName: "x"}); !errors.Is(err, store.ErrIdentity) {
				t.Errorf("UpdateProfile: %v", err)
			}
		})
	}
	f.wire.wantVerbs(t)
	f.wantCounts(0, 0)
}

func TestUsers_LoginAllOrNothing(t *testing.T) {
	for _, cut := range []string{"INSERT INTO users", "INSERT INTO wechat_identities", "COMMIT"} {
		t.Run("cut at "+strings.Trim(cut[max(0, strings.LastIndex(cut, " ")):], " `"), func(t *testing.T) {
			f := newFixture(t)
			f.wire.sabotage(cutAt(cut), nil)
			_, created, err := f.users.Login(t.Context(), store.Identity{AppID: appA, OpenID: "oAlice"})
			if created || !errors.Is(err, store.ErrUnavailable) {
				t.Fatalf("created %v, error %v; want ErrUnavailable", created, err)
			}
			f.wire.reset()
			if _, created := f.login(appA, "oAlice", ""); !created {
				t.Error("the next login does not create the user")
			}
			f.wantCounts(1, 1)
		})
	}
}

// cutAt is for wire.sabotage: the connection breaks at the first statement with this prefix.
func cutAt(prefix string) func(string) error {
	return func(sql string) error {
		if strings.HasPrefix(sql, prefix) {
			return errCut
		}
		return nil
	}
}
