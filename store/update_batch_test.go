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

// busy is a fixture in which as many profiles are being written as are written alone, and hang until the gate is opened:
// further writes wait and go together.
type busy struct {
	*fixture
	*gate
	ids []uint64
}

// newBusy makes users oUser0 and so on, and others who are being written.
func newBusy(t *testing.T, users int) *busy {
	t.Helper()
	b := &busy{fixture: newFixture(t)}
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

// write updates a profile in a goroutine of its own.
func (b *busy) write(openID string, p store.Profile, then func(store.User, error)) {
	b.calls.Go(func() {
		user, _, err := b.users.UpdateProfile(b.t.Context(), appA, openID, p)
		if then != nil {
			then(user, err)
		} else if err != nil {
			b.t.Errorf("%s: %v", openID, err)
		}
	})
}

func (b *busy) waitForWaiting(n int) {
	b.t.Helper()
	waitFor(b.t, func() bool { return b.db.QueuedWrites() == n })
}

// together counts the statements that write several profiles.
func (b *busy) together() (n int) {
	for _, s := range b.wire.statements() {
		if strings.HasPrefix(s.sql, "UPDATE") && strings.Contains(s.sql, "CASE id") {
			n++
		}
	}
	return n
}

// profileOf is another profile for each user, in which also other fields are given.
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

// wantProfile asserts that an answer is what was given, and the row what was answered.
func (b *busy) wantProfile(i int, user store.User) {
	given := profileOf(i)
	if given.Source == 0 {
		given.Source = store.SourceWeChat
	}
	if user.Profile != given || user.ID != b.ids[i] {
		b.t.Errorf("user %d: answer %+v, want %+v", i, user.Profile, given)
	}
	read, err := b.users.Find(b.t.Context(), appA, fmt.Sprintf("oUser%d", i))
	if err != nil || read != user {
		b.t.Errorf("user %d: answer %+v, row %+v, error %v", i, user, read, err)
	}
}

func TestProfileWrites_that_wait_go_together(t *testing.T) {
	for name, tt := range map[string]struct{ users, statements int }{
		"one": {1, 1}, "four": {4, 1}, "five": {5, 1}, "sixteen": {16, 1}, "more": {33, 3},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBusy(t, tt.users+1)
			untouched := b.user(b.ids[tt.users])
			answers := make([]store.User, tt.users)
			for i := range tt.users {
				b.write(fmt.Sprintf("oUser%d", i), profileOf(i), func(user store.User, err error) {
					if err != nil {
						t.Errorf("user %d: %v", i, err)
					}
					answers[i] = user
				})
			}
			b.waitForWaiting(tt.users)
			b.release()
			if got := b.together(); got != tt.statements {
				t.Errorf("%d statements, want %d", got, tt.statements)
			}
			for i, user := range answers {
				b.wantProfile(i, user)
			}
			b.wantWritten(t, b.ids[tt.users], untouched, nil)
		})
	}
}

// What is not given is NULL in a statement for several: it stays as it is when that is written, and as it was for others.
func TestProfileWrites_leave_the_rest_to_others(t *testing.T) {
	b := newBusy(t, 2)
	b.clock.advance(time.Second)
	b.exec("UPDATE users SET city = 'Guangzhou', gender = 1, language = 'fr' WHERE id IN (?, ?)", b.ids[0], b.ids[1])
	before := []map[string]string{b.user(b.ids[0]), b.user(b.ids[1])}
	b.write("oUser0", store.Profile{NickName: "Alice", AsOf: late}, nil)
	b.write("oUser1", store.Profile{City: "Shenzhen", AsOf: late}, nil)
	b.waitForWaiting(2)
	b.release()
	always := []string{"profile_as_of", "profile_updated_at", "updated_at"}
	b.wantWritten(t, b.ids[0], before[0], append(always, "nickname", "profile_source"))
	b.wantWritten(t, b.ids[1], before[1], append(always, "city"))
}

// One of several was written by somebody else meanwhile, or blocked: nobody loses anything.
func TestProfileWrites_one_meets_another_write(t *testing.T) {
	for name, between := range map[string]string{
		"newer_data_came_first": "UPDATE users SET nickname = 'Newer', profile_as_of = '2025-03-13', profile_updated_at = '2025-03-13' WHERE id = ?",
		"disabled":              "UPDATE users SET nickname = 'Newer', status = 2 WHERE id = ?",
	} {
		t.Run(name, func(t *testing.T) {
			b := newBusy(t, 3)
			for i := range 3 {
				b.write(fmt.Sprintf("oUser%d", i), profileOf(i), func(user store.User, err error) {
					if err != nil {
						t.Errorf("user %d: %v", i, err)
					}
					if i != 1 {
						b.wantProfile(i, user)
					} else if user.NickName != "Newer" {
						t.Errorf("answer %+v", user)
					}
				})
			}
			b.waitForWaiting(3)
			b.exec(between, b.ids[1])
			b.release()
			if row := b.user(b.ids[1]); row["nickname"] != "Newer" || row["city"] != "" {
				t.Errorf("row %v", row)
			}
		})
	}
}

// Two updates of one user, who has two identities, do not go in one statement, which could write only one of them.
func TestProfileWrites_of_one_user(t *testing.T) {
	b := newBusy(t, 2)
	b.exec("UPDATE wechat_identities SET user_id = ? WHERE openid = 'oUser1'", b.ids[0])
	for i, city := range []string{"Guangzhou", "Shenzhen"} {
		b.write(fmt.Sprint("oUser", i), store.Profile{City: city, AsOf: early.Add(time.Duration(i) * time.Second)}, nil)
		b.waitForWaiting(i + 1)
	}
	b.release()
	if row := b.user(b.ids[0]); row["city"] != "Shenzhen" {
		t.Errorf("row %v", row)
	}
}

func TestProfileWrites_a_fault_is_that_of_one_statement(t *testing.T) {
	b := newBusy(t, 2)
	var failed atomic.Int64
	for i := range 2 {
		b.write(fmt.Sprintf("oUser%d", i), profileOf(i), func(_ store.User, err error) {
			if errors.Is(err, store.ErrUnavailable) {
				failed.Add(1)
			}
		})
	}
	b.waitForWaiting(2)
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
}

// A deadlock undoes the statement for all, and all begin again.
func TestProfileWrites_a_deadlock_is_repeated(t *testing.T) {
	b := newBusy(t, 3)
	for i := range 3 {
		b.write(fmt.Sprintf("oUser%d", i), profileOf(i), func(user store.User, err error) {
			if err != nil {
				t.Errorf("user %d: %v", i, err)
			}
			b.wantProfile(i, user)
		})
	}
	b.waitForWaiting(3)
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
}

// A row that somebody keeps locked, such as an administrator who has not committed, holds up who is written with it: until
// their statement is given up, and with it what it has locked. Then they are written, while that row is still locked.
func TestProfileWrites_one_row_is_locked(t *testing.T) {
	if !realServer {
		t.Skip("the embedded engine locks no rows: everybody waits for a transaction")
	}
	b := newBusy(t, 3)
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
	b.waitForWaiting(3)
	b.open()
	if first, second := <-written, <-written; first == 1 || second == 1 {
		t.Error("a locked row was written")
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	b.release()
}

// TestProfileWrites_at_once has many people change, each in turn and all at once, while some of them are blocked and
// others join: in the end everybody is what was answered last.
func TestProfileWrites_at_once(t *testing.T) {
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
			t.Errorf("user %d: answered %+v, stands %+v, %v", i, user, read, err)
		}
	}
}
