//go:build unix

package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"wxlogin/internal/testenv/mysqltest"
	"wxlogin/store"
)

// BenchmarkUsers measures the calls of every day, from as many goroutines as a busy server has requests at once: the
// store, and the same statements on database/sql alone. cpu-µs/op is what a call takes of the CPU in this process; the
// server's part is not in it. With TEST_MYSQL_DSN unset it measures the embedded engine, which is of no use.
func BenchmarkUsers(b *testing.B) {
	s, bare := newBench(b)
	for _, call := range []struct {
		name        string
		store, bare func(ctx context.Context, goroutine, n int) error
	}{
		{"login_returning", s.login, bare.find},
		{"login_new", s.loginNew, bare.insert},
		{"update_changed", s.update, bare.update},
		{"update_unchanged", s.updateNothing, bare.find},
		{"find", s.find, bare.find},
	} {
		b.Run(call.name+"/store", func(b *testing.B) { measure(b, call.store) })
		b.Run(call.name+"/bare", func(b *testing.B) { measure(b, call.bare) })
	}
}

// measure has 24 goroutines call, each time in a context that can end, as that of a request. call gets the number of the
// goroutine and of its call.
func measure(b *testing.B, call func(ctx context.Context, goroutine, n int) error) {
	const goroutines = 24
	b.SetParallelism(max(1, goroutines/runtime.GOMAXPROCS(0)))
	b.ReportAllocs()
	var started atomic.Int64
	before := cpuTime(b)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		goroutine := int(started.Add(1))
		for n := 0; pb.Next(); n++ {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			err := call(ctx, goroutine, n)
			cancel()
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.StopTimer()
	b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/1e3/float64(b.N), "cpu-µs/op")
}

// cpuTime is what this process has taken of the CPU so far.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// benchUsers is how many people have logged in and have a profile before the measuring begins.
const benchUsers = 512

// benchNames are the nicknames that they change between.
var benchNames = [2]string{"Alice", "Alicia"}

func benchOpenID(goroutine, n int) string {
	return fmt.Sprintf("oAlice_of_the_benchmark_%04d", (31*goroutine+n)%benchUsers)
}

// benchNew is an openid that has not been used.
func benchNew() string { return fmt.Sprintf("oNew_of_the_benchmark_%d", benchFresh.Add(1)) }

var benchFresh atomic.Int64

func benchProfile(nickName string) store.Profile {
	return store.Profile{NickName: nickName, AvatarURL: "https://thirdwx.qlogo.cn/" + strings.Repeat("a", 100), Gender: 2}
}

// benchStore makes the calls through the store.
type benchStore struct{ *store.Users }

func newBench(b *testing.B) (benchStore, *benchBare) {
	b.Helper()
	dsn := mysqltest.NewWithSchema(b)
	db, err := store.Open(dsn, store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	s := benchStore{db.Users()}
	for i := range benchUsers {
		id := store.Identity{AppID: appA, OpenID: benchOpenID(0, i)}
		if _, _, err := s.Login(b.Context(), id); err != nil {
			b.Fatal(err)
		}
		if _, _, err := s.UpdateProfile(b.Context(), appA, id.OpenID, benchProfile(benchNames[0])); err != nil {
			b.Fatal(err)
		}
	}
	return s, newBenchBare(b, dsn)
}

func (s benchStore) login(ctx context.Context, goroutine, n int) error {
	_, created, err := s.Login(ctx, store.Identity{AppID: appA, OpenID: benchOpenID(goroutine, n)})
	if created {
		return fmt.Errorf("%s is new", benchOpenID(goroutine, n))
	}
	return err
}

func (s benchStore) loginNew(ctx context.Context, _, _ int) error {
	_, _, err := s.Login(ctx, store.Identity{AppID: appA, OpenID: benchNew()})
	return err
}

// update gives each goroutine a person of its own, for it is not to measure how they meet.
func (s benchStore) update(ctx context.Context, goroutine, n int) error {
	_, _, err := s.UpdateProfile(ctx, appA, benchOpenID(goroutine, 0), benchProfile(benchNames[n%2]))
	return err
}

func (s benchStore) updateNothing(ctx context.Context, goroutine, n int) error {
	_, _, err := s.UpdateProfile(ctx, appA, benchOpenID(goroutine, n), store.Profile{Gender: 2})
	return err
}

func (s benchStore) find(ctx context.Context, goroutine, n int) error {
	_, err := s.Find(ctx, appA, benchOpenID(goroutine, n))
	return err
}

// benchBare sends the store's statements by database/sql: prepared where the store prepares, one after the other, and
// without a look at what comes back.
type benchBare struct {
	pool         *sql.DB
	read, change *sql.Stmt
}

func newBenchBare(b *testing.B, dsn string) *benchBare {
	b.Helper()
	config, err := store.ParseDSN(dsn)
	if err != nil {
		b.Fatal(err)
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		b.Fatal(err)
	}
	bare := &benchBare{pool: sql.OpenDB(connector)}
	bare.pool.SetMaxOpenConns(50)
	bare.pool.SetMaxIdleConns(50)
	b.Cleanup(func() { bare.pool.Close() })
	for text, stmt := range map[string]**sql.Stmt{store.SelectByIdentity: &bare.read, store.UpdateProfile: &bare.change} {
		if *stmt, err = bare.pool.Prepare(text); err != nil {
			b.Fatal(err)
		}
	}
	return bare
}

// bareUser has the columns that are looked at, and those that are not.
type bareUser struct {
	id        uint64
	updatedAt *time.Time
	rest      [18]any
}

func (bare *benchBare) user(ctx context.Context, openID string) (u bareUser, err error) {
	into := []any{&u.id}
	for i := range u.rest {
		if i == 11 {
			into = append(into, &u.updatedAt)
		}
		into = append(into, &u.rest[i])
	}
	err = bare.read.QueryRowContext(ctx, appA, openID).Scan(into...)
	return u, err
}

func (bare *benchBare) find(ctx context.Context, goroutine, n int) error {
	_, err := bare.user(ctx, benchOpenID(goroutine, n))
	return err
}

func (bare *benchBare) update(ctx context.Context, goroutine, n int) error {
	u, err := bare.user(ctx, benchOpenID(goroutine, 0))
	if err != nil {
		return err
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	_, err = bare.change.ExecContext(ctx, benchNames[n%2], nil, nil, nil, nil, nil, nil, nil, now, now, now, u.id, 1, u.updatedAt)
	return err
}

func (bare *benchBare) insert(ctx context.Context, _, _ int) error {
	openID := benchNew()
	if _, err := bare.user(ctx, openID); !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	tx, err := bare.pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	now := time.Now().UTC().Truncate(time.Millisecond)
	result, err := tx.ExecContext(ctx, store.InsertUser, nil, 1, now, now, now)
	if err != nil {
		return err
	}
	id, err := result.LastInsertId()
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, store.InsertIdentity, appA, openID, id, now); err != nil {
		return err
	}
	return tx.Commit()
}
