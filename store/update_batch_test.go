package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"wxlogin/internal/batch"
	"wxlogin/store"
)

// writerFixture is a fixture with as many profile writes in flight as possible, which block until the gate opens:
// further ones queue.
type writerFixture struct {
	*fixture
	*gate
	ids []uint64
}

// newWriterFixture creates users oUser0 and so on, and others whose writes are in flight.
func newWriterFixture(t *testing.T, users int) *writerFixture {
	t.Helper()
	b := &writerFixture{fixture: newFixture(t)}
	for i := range users {
		user, _ := b.login(appA, fmt.Sprintf("oUser%d", i), "")
		b.ids = append(b.ids, user.ID)
	}
	for i := range batch.MaxInFlight {
		b.login(appA, fmt.Sprintf("oBusy%d", i), "")
	}
	b.gate = newGate(t, b.wire, "UPDATE")
	for i := range batch.MaxInFlight {
		b.write(fmt.Sprintf("oBusy%d", i), store.Profile{NickName: "Busy"}, nil)
		b.waitFor(t, i+1)
	}
	return b
}

// write updates a profile in a goroutine.
func (b *writerFixture) write(openID string, p store.Profile, then func(store.User, error)) {
	b.calls.Go(func() {
		user, _, err := b.users.UpdateProfile(b.t.Context(), appA, openID, p)
		if then != nil {
			then(user, err)
		} else if err != nil {
			b.t.Errorf("%s: %v", openID, err)
		}
	})
}

func (b *writerFixture) waitForQueued(n int) {
	b.t.Helper()
	waitFor(b.t, func() bool { return b.db.QueuedWrites() == n })
}

// batches counts the statements that write several profiles.
func (b *writerFixture) batches() (n int) {
	for _, s := range b.wire.statements() {
		if strings.HasPrefix(s.sql, "UPDATE") && strings.Contains(s.sql, "CASE id") {
			n++
		}
	}
	return n
}

// profileOf returns a different profile for each user, with different fields.
func profileOf(i int) store.Profile {
	p := store.Profile{NickName: fmt.Sprintf("用户 %d 😀", i), AsOf: early.Add(time.Duration(i) * time.Second)}
	switch i % 3 {
	case 1:
		p.Gender, p.City, p.Source = 2, fmt.Sprint("City ", i), store.SourceUser
	case 2:
		p.AvatarURL, p.Country, p.Province, p.Language = fmt.Sprint("https://pictures.example/", i), "CN", fmt.Sprint("Province ", i), "zh_TW"
	}
	return p
}

// wantProfile checks that a returned user has the given profile, and that the row is the same.
func (b *writerFixture) wantProfile(i int, user store.User) {
	given := profileOf(i)
	if given.Source == 0 {
		given.Source = store.SourceWeChat
	}
	if user.Profile != given || user.ID != b.ids[i] {
		b.t.Errorf("user %d: returned %+v, want %+v", i, user.Profile, given)
	}
	read, err := b.users.Find(b.t.Context(), appA, fmt.Sprintf("oUser%d", i))
	if err != nil || read != user {
		b.t.Errorf("user %d: returned %+v, row %+v, error %v", i, user, read, err)
	}
}

func TestProfileWriter(t *testing.T) {
	t.Run("queued writes share a statement", func(t *testing.T) {
		for name, tt := range map[string]struct{ users, statements int }{
			"one": {1, 1}, "four": {4, 1}, "five": {5, 1}, "sixteen": {16, 1}, "more": {33, 3},
		} {
			t.Run(name, func(t *testing.T) {
				b := newWriterFixture(t, tt.users+1)
				untouched := b.user(b.ids[tt.users])
				returned := make([]store.User, tt.users)
				for i := range tt.users {
					b.write(fmt.Sprintf("oUser%d", i), profileOf(i), func(user store.User, err error) {
						if err != nil {
							t.Errorf("user %d: %v", i, err)
						}
						returned[i] = user
					})
				}
				b.waitForQueued(tt.users)
				b.release()
				if got := b.batches(); got != tt.statements {
					t.Errorf("%d statements, want %d", got, tt.statements)
				}
				for i, user := range returned {
					b.wantProfile(i, user)
				}
				b.wantWritten(t, b.ids[tt.users], untouched, nil)
			})
		}
	})

	// A field that is not given is NULL in a shared statement: the column keeps its value at the time of the write.
	t.Run("unchanged fields are left to other writers", func(t *testing.T) {
		b := newWriterFixture(t, 2)
		b.clock.advance(time.Second)
		b.exec("UPDATE users SET city = 'Guangzhou', gender = 1, language = 'fr' WHERE id IN (?, ?)", b.ids[0], b.ids[1])
		before := []map[string]string{b.user(b.ids[0]), b.user(b.ids[1])}
		b.write("oUser0", store.Profile{NickName: "Alice", AsOf: late}, nil)
		b.write("oUser1", store.Profile{City: "Shenzhen", AsOf: late}, nil)
		b.waitForQueued(2)
		b.release()
		always := []string{"profile_as_of", "profile_updated_at", "updated_at"}
		b.wantWritten(t, b.ids[0], before[0], append(always, "nickname", "profile_source"))
		b.wantWritten(t, b.ids[1], before[1], append(always, "city"))
	})

	// Two updates of one user with two identities do not share a statement, which could write only one of them.
	t.Run("writes of one user do not share a statement", func(t *testing.T) {
		b := newWriterFixture(t, 2)
		b.exec("UPDATE wechat_identities SET user_id = ? WHERE openid = 'oUser1'", b.ids[0])
		for i, city := range []string{"Guangzhou", "Shenzhen"} {
			b.write(fmt.Sprint("oUser", i), store.Profile{City: city, AsOf: early.Add(time.Duration(i) * time.Second)}, nil)
			b.waitForQueued(i + 1)
		}
		b.release()
		if row := b.user(b.ids[0]); row["city"] != "Shenzhen" {
			t.Errorf("row %v", row)
		}
	})

	t.Run("an error fails one statement", func(t *testing.T) {
		b := newWriterFixture(t, 2)
		var failed atomic.Int64
		for i := range 2 {
			b.write(fmt.Sprintf("oUser%d", i), profileOf(i), func(_ store.User, err error) {
				if errors.Is(err, store.ErrUnavailable) {
					failed.Add(1)
				}
			})
		}
		b.waitForQueued(2)
		b.wire.sabotage(func(sql string) error {
			if strings.Contains(sql, "CASE id") {
				return &mysql.MySQLError{Number: 1317, Message: "Query execution was interrupted"}
			}
			return nil
		}, nil)
		b.release()
		if failed.Load() != 2 {
			t.Errorf("%d failed, want 2", failed.Load())
		}
		b.wire.sabotage(nil, nil)
		b.wantProfile(0, b.update(appA, "oUser0", profileOf(0)))
	})
}

func TestProfileWriter_Conflict(t *testing.T) {
	// One of several users was changed or disabled in between: no update is lost.
	t.Run("another write comes in between", func(t *testing.T) {
		for name, between := range map[string]string{
			"newer data came first": "UPDATE users SET nickname = 'Newer', profile_as_of = '2025-03-13', profile_updated_at = '2025-03-13' WHERE id = ?",
			"disabled":              "UPDATE users SET nickname = 'Newer', status = 2 WHERE id = ?",
		} {
			t.Run(name, func(t *testing.T) {
				b := newWriterFixture(t, 3)
				for i := range 3 {
					b.write(fmt.Sprintf("oUser%d", i), profileOf(i), func(user store.User, err error) {
						if err != nil {
							t.Errorf("user %d: %v", i, err)
						}
						if i != 1 {
							b.wantProfile(i, user)
						} else if user.NickName != "Newer" {
							t.Errorf("returned %+v", user)
						}
					})
				}
				b.waitForQueued(3)
				b.exec(between, b.ids[1])
				b.release()
				if row := b.user(b.ids[1]); row["nickname"] != "Newer" || row["city"] != "" {
					t.Errorf("row %v", row)
				}
			})
		}
	})

	// A deadlock undoes the whole statement, and all updates are retried.
	t.Run("retries a deadlock", func(t *testing.T) {
		b := newWriterFixture(t, 3)
		for i := range 3 {
			b.write(fmt.Sprintf("oUser%d", i), profileOf(i), func(user store.User, err error) {
				if err != nil {
					t.Errorf("user %d: %v", i, err)
				}
				b.wantProfile(i, user)
			})
		}
		b.waitForQueued(3)
		var victims atomic.Int64
		b.wire.sabotage(func(sql string) error {
			if strings.Contains(sql, "CASE id") && victims.Add(1) == 1 {
				return &mysql.MySQLError{Number: 1213, Message: "Deadlock found when trying to get lock; try restarting transaction"}
			}
			return nil
		}, nil)
		b.release()
		if victims.Load() == 0 {
			t.Error("there was no victim")
		}
	})

	// If another connection, such as that of an administrator, keeps a row locked, the updates in the same statement
	// wait until the server gives it up. Then the others are written while that row is still locked.
	t.Run("one row is locked", func(t *testing.T) {
		if !realServer {
			t.Skip("the embedded engine locks no rows: all connections wait for a transaction")
		}
		b := newWriterFixture(t, 3)
		tx, err := b.raw.Begin()
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		if _, err := tx.Exec("UPDATE users SET status = 2 WHERE id = ?", b.ids[1]); err != nil {
			t.Fatal(err)
		}
		written := make(chan int, 3)
		for i := range 3 {
			b.write(fmt.Sprintf("oUser%d", i), profileOf(i), func(user store.User, err error) {
				if err != nil {
					t.Errorf("user %d: %v", i, err)
				}
				b.wantProfile(i, user)
				written <- i
			})
		}
		b.waitForQueued(3)
		b.open()
		if first, second := <-written, <-written; first == 1 || second == 1 {
			t.Error("a locked row was written")
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		b.release()
	})

	// Many users are updated concurrently, in several rounds: finally each is as the last call returned it.
	t.Run("concurrent updates of many users", func(t *testing.T) {
		const people, rounds = 40, 6
		f := newFixture(t)
		last := make([]store.User, people)
		for i := range people {
			f.login(appA, fmt.Sprintf("oUser%d", i), "")
		}
		concurrently(people, func(i int) {
			for round := range rounds {
				p := profileOf(round*people + i)
				user, _, err := f.users.UpdateProfile(context.Background(), appA, fmt.Sprintf("oUser%d", i), p)
				if err != nil || user.NickName != p.NickName || !user.AsOf.Equal(p.AsOf) {
					t.Errorf("user %d: %+v, %v", i, user, err)
				}
				last[i] = user
			}
		})
		for i, user := range last {
			read, err := f.users.Find(t.Context(), appA, fmt.Sprintf("oUser%d", i))
			if err != nil || read != user {
				t.Errorf("user %d: returned %+v, stored %+v, %v", i, user, read, err)
			}
		}
	})
}
