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

// BenchmarkUsers measures the hot calls, from as many goroutines as a busy server has concurrent requests: by the
// store, and by the same statements on database/sql alone. cpu-µs/op is the CPU time of a call in this process,
// without the server's part. If TEST_MYSQL_DSN is not set, it measures the embedded engine, which is of no use.
func BenchmarkUsers(b *testing.B) {
	s, baseline := newBench(b)
	for _, call := range []struct {
		name            string
		store, baseline func(ctx context.Context, goroutine, n int) error
	}{
		{"login_returning", s.login, baseline.find},
		{"login_new", s.loginNew, baseline.insert},
		{"update_changed", s.update, baseline.update},
		{"update_unchanged", s.updateNothing, baseline.find},
		{"find", s.find, baseline.find},
	} {
		b.Run(call.name+"/store", func(b *testing.B) { measure(b, call.store) })
		b.Run(call.name+"/baseline", func(b *testing.B) { measure(b, call.baseline) })
	}
}

// measure calls from 24 goroutines, each time in a context that can end, like that of a request. call gets the number
// of the goroutine and of its call.
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

// cpuTime returns the CPU time of this process.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// benchUsers is the number of users with a profile before the measurement starts.
const benchUsers = 512

// benchNames are the nicknames that updates alternate between.
var benchNames = [2]string{"Alice", "Alicia"}

func benchOpenID(goroutine, n int) string {
	return fmt.Sprintf("oAlice_of_the_benchmark_%04d", (31*goroutine+n)%benchUsers)
}

// benchNew returns an unused openid.
func benchNew() string { return fmt.Sprintf("oNew_of_the_benchmark_%d", benchCreated.Add(1)) }

var benchCreated atomic.Int64

func benchProfile(nickName string) store.Profile {
	return store.Profile{NickName: nickName, AvatarURL: "https://thirdwx.qlogo.cn/" + strings.Repeat("a", 100), Gender: 2}
}

// benchStore calls the store.
type benchStore struct{ *store.Users }

func newBench(b *testing.B) (benchStore, *benchBaseline) {
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
	return s, newBenchBaseline(b, dsn)
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

// update gives each goroutine a user of its own, because conflicts are not to be measured.
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

// benchBaseline sends the same statements by database/sql, prepared if the store prepares them, and ignores the
// results.
type benchBaseline struct {
	pool         *sql.DB
	read, change *sql.Stmt
}

func newBenchBaseline(b *testing.B, dsn string) *benchBaseline {
	b.Helper()
	config, err := store.ParseDSN(dsn)
	if err != nil {
		b.Fatal(err)
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		b.Fatal(err)
	}
	baseline := &benchBaseline{pool: sql.OpenDB(connector)}
	baseline.pool.SetMaxOpenConns(50)
	baseline.pool.SetMaxIdleConns(50)
	b.Cleanup(func() { baseline.pool.Close() })
	for text, stmt := range map[string]**sql.Stmt{store.SelectByIdentity: &baseline.read, store.UpdateProfile: &baseline.change} {
		if *stmt, err = baseline.pool.Prepare(text); err != nil {
			b.Fatal(err)
		}
	}
	return baseline
}

// baselineUser has the columns that are used, and the rest.
type baselineUser struct {
	id        uint64
	updatedAt *time.Time
	rest      [22]any
}

func (baseline *benchBaseline) user(ctx context.Context, openID string) (u baselineUser, err error) {
	into := []any{&u.id}
	for i := range u.rest {
		if i == 11 {
			into = append(into, &u.updatedAt)
		}
		into = append(into, &u.rest[i])
	}
	err = baseline.read.QueryRowContext(ctx, appA, openID).Scan(into...)
	return u, err
}

func (baseline *benchBaseline) find(ctx context.Context, goroutine, n int) error {
	_, err := baseline.user(ctx, benchOpenID(goroutine, n))
	return err
}

func (baseline *benchBaseline) update(ctx context.Context, goroutine, n int) error {
	u, err := baseline.user(ctx, benchOpenID(goroutine, 0))
	if err != nil {
		return err
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	_, err = baseline.change.ExecContext(ctx, benchNames[n%2], nil, nil, nil, nil, nil, nil, nil, now, nil, now, now, now, u.id, 1, u.updatedAt)
	return err
}

func (baseline *benchBaseline) insert(ctx context.Context, _, _ int) error {
	openID := benchNew()
	if _, err := baseline.user(ctx, openID); !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	tx, err := baseline.pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	now := time.Now().UTC().Truncate(time.Millisecond)
	result, err := tx.ExecContext(ctx, store.InsertUser, nil, 1, now, now, now, now)
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
