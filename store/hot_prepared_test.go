package store_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"wxlogin/internal/testenv"
	"wxlogin/internal/testenv/mysqltest"
	"wxlogin/store"
)

// visits calls everything that sends frequent statements, and asserts what it leaves in the tables.
func (f *fixture) visits(round string) {
	f.t.Helper()
	ctx := f.t.Context()
	alice, bob := "oAlice"+round, "oBob"+round
	user, created := f.login(appA, alice, "u"+round)
	if !created {
		f.t.Errorf("%s: not created", round)
	}
	f.clock.advance(2 * time.Hour)
	if again, created := f.login(appA, alice, "u"+round); created || again.ID != user.ID {
		f.t.Errorf("%s: user %d, created %v", round, again.ID, created)
	}
	if joined, created := f.login(appB, alice, "u"+round); created || joined.ID != user.ID {
		f.t.Errorf("%s: joined %d, created %v", round, joined.ID, created)
	}
	f.update(appA, alice, store.Profile{NickName: "Alice " + round})
	f.bind(appA, alice, firstPhone)
	if found, err := f.users.Find(ctx, appA, alice); err != nil || found.NickName != "Alice "+round || found.Phone != firstPhone {
		f.t.Errorf("%s: found %+v, %v", round, found, err)
	}
	if _, err := f.users.Find(ctx, appA, "oNobody"); !errors.Is(err, store.ErrNotFound) {
		f.t.Errorf("%s: %v", round, err)
	}
	bobs, _ := f.login(appA, bob, "")
	for call, err := range map[string]error{
		"find 2":    f.db.FindMany(ctx, appA, alice, bob),
		"find 6":    f.db.FindMany(ctx, appA, alice, bob, "o3", "o4", "o5", "o6"),
		"write 1":   f.db.WriteMany(ctx, "Bob", bobs.ID),
		"sign up 3": f.db.CreateMany(ctx, store.Identity{AppID: appC, OpenID: alice}, store.Identity{AppID: appC, OpenID: bob}),
		"days":      f.db.WriteLoginDays(ctx),
		"ready":     f.db.Ready(ctx),
	} {
		if err != nil {
			f.t.Errorf("%s: %s: %v", round, call, err)
		}
	}
	row := f.user(user.ID)
	want := f.clock.now().UTC().Truncate(time.Millisecond).Format("2006-01-02 15:04:05.000")
	if row["nickname"] != "Alice "+round || row["last_login_at"] != want || row["unionid"] != "u"+round || f.user(bobs.ID)["nickname"] != "Bob" {
		f.t.Errorf("%s: rows %v", round, row)
	}
}

// wantWarnings asserts how many warnings about prepared statements there are.
func (f *fixture) wantWarnings(want int) {
	f.t.Helper()
	if got := strings.Count(f.logs.String(), "prepared statements are refused or lost"); got != want {
		f.t.Errorf("%d warnings, want %d:\n%s", got, want, f.logs)
	}
}

// refusals are the errors by which servers and proxies refuse prepared statements.
var refusals = map[string]struct {
	stage string
	err   mysql.MySQLError
}{
	"no_more":           {"prepare", mysql.MySQLError{Number: 1461, Message: "Can't create more than max_prepared_stmt_count statements"}},
	"unsupported":       {"prepare", mysql.MySQLError{Number: 1295}},
	"unknown_command":   {"prepare", mysql.MySQLError{Number: 1047}},
	"not_yet_supported": {"prepare", mysql.MySQLError{Number: 1235}},
	"lost":              {"execute", mysql.MySQLError{Number: 1243}},
	"another_one":       {"execute", mysql.MySQLError{Number: 1210}},
	"need_reprepare":    {"execute", mysql.MySQLError{Number: 1615}},
	"lost_by_vitess":    {"execute", mysql.MySQLError{Number: 2014, Message: "statement ID is not found from record"}},
	"lost_by_tidb":      {"execute", mysql.MySQLError{Number: 1105, Message: "ERROR 1243 (HY000): Unknown prepared statement handler 7 given to stmt_execute"}},
}

func TestPrepared_statements_that_are_refused_go_as_text_at_once(t *testing.T) {
	for name, tt := range refusals {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.visits("before")
			f.wire.refusePrepared(func(stage string) error {
				if stage == tt.stage {
					return &tt.err
				}
				return nil
			})
			if tt.stage == "prepare" { // those that are prepared stay so until their connection ends
				f.db.CloseIdle()
			}
			f.visits("refused")
			f.wantWarnings(1)

			f.wire.reset()
			f.visits("meanwhile") // this takes hours: prepared once more, and refused
			if got := f.wire.preparations(); tt.stage == "prepare" && got > 2 {
				t.Errorf("prepared %d times", got)
			}
			f.wire.refusePrepared(nil)
			f.clock.advance(3 * time.Hour)
			f.wire.reset()
			f.visits("after")
			if f.wire.preparations() == 0 {
				t.Error("nothing is prepared afterwards")
			}
		})
	}
}

func TestPrepared_statements_are_left_alone_for_a_while(t *testing.T) {
	f := newFixture(t)
	refused := 0
	f.wire.refusePrepared(func(string) error {
		refused++
		return &mysql.MySQLError{Number: 1461}
	})
	f.login(appA, "oAlice", "")
	for wait, want := range []int{1, 2, 2, 3, 3, 3, 3, 4} { // after minutes 0, 1, 3 and 7
		if f.login(appA, "oAlice", ""); refused != want {
			t.Errorf("minute %d: refused %d times, want %d", wait, refused, want)
		}
		f.clock.advance(time.Minute)
	}
	f.wantWarnings(1)
	f.clock.advance(24 * time.Hour)
	f.login(appA, "oAlice", "")
	f.wantWarnings(1)
	f.clock.advance(24 * time.Hour)
	f.wire.refusePrepared(nil)
	f.login(appA, "oAlice", "") // it works again, so that another failure is news
	f.clock.advance(24 * time.Hour)
	f.wire.refusePrepared(func(string) error { return &mysql.MySQLError{Number: 1243} })
	f.login(appA, "oAlice", "")
	f.wantWarnings(2)
}

// Many calls at the same moment meet a lost statement once each at most, and all are answered.
func TestPrepared_statements_that_are_lost_under_load(t *testing.T) {
	f := newFixture(t)
	f.visits("before")
	var lost atomic.Int64
	f.wire.refusePrepared(func(stage string) error {
		if stage == "execute" && lost.Add(1)%3 == 0 {
			return &mysql.MySQLError{Number: 1243}
		}
		return nil
	})
	concurrently(64, func(i int) {
		for n := range 5 {
			openID := fmt.Sprintf("o%d", i)
			if _, _, err := f.users.Login(t.Context(), store.Identity{AppID: appA, OpenID: openID}); err != nil {
				t.Errorf("Login: %v", err)
			}
			if _, _, err := f.users.UpdateProfile(t.Context(), appA, openID, store.Profile{NickName: fmt.Sprint("n", n)}); err != nil {
				t.Errorf("UpdateProfile: %v", err)
			}
			f.clock.advance(20 * time.Second)
		}
	})
	f.wantNoOrphans()
}

func TestOptions_NoPrepare(t *testing.T) {
	f := newFixture(t)
	w := &wire{}
	var err error
	if f.db, err = store.Open(f.dsn, store.Options{Now: f.clock.now, NoPrepare: true, OpenDB: w.openDB}); err != nil {
		t.Fatal(err)
	}
	defer f.db.Close()
	f.users = f.db.Users()
	f.visits("text")
	w.wantNothingPrepared(t)
}

// On a real server whose limit is used up, and on one that loses what was prepared.
func TestPrepared_statements_on_a_server_with_no_room_for_them(t *testing.T) {
	s := mysqltest.RunServer(t)
	f := fixtureOn(t, s.NewDatabase(t, "app", "ALL"))
	f.visits("before")
	s.Exec(t, "SET GLOBAL max_prepared_stmt_count = 0")
	f.visits("on_old_connections")
	fresh := fixtureOn(t, f.dsn)
	fresh.visits("on_new_connections")
	fresh.wantWarnings(1)
	s.Exec(t, "SET GLOBAL max_prepared_stmt_count = 16382")
	fresh.clock.advance(24 * time.Hour)
	fresh.visits("after")
	var name, count string
	if err := s.Root.QueryRow("SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'").Scan(&name, &count); err != nil || count == "0" {
		t.Errorf("%s statements are prepared afterwards, %v", count, err)
	}
}

func TestPrepared_statements_behind_a_proxy_that_forgets_them(t *testing.T) {
	proxy := newForgetfulProxy(t, mysqltest.New(t))
	f := fixtureOn(t, proxy.dsn)
	f.visits("before")
	f.wantWarnings(0)
	proxy.forgets.Store(true)
	f.clock.advance(time.Hour)
	f.visits("forgotten")
	if proxy.forgotten.Load() == 0 {
		t.Error("the proxy was not asked for a prepared statement")
	}
	f.wantWarnings(1)
	f.wantNoOrphans()
}

// fixtureOn is newFixture on a database that the test has made.
func fixtureOn(t *testing.T, dsn string) *fixture {
	t.Helper()
	f := &fixture{t: t, dsn: dsn, wire: &wire{}, clock: newClock(), logs: &testenv.Log{}}
	var err error
	f.db, err = store.Open(dsn, store.Options{Now: f.clock.now, Logger: slog.New(slog.NewTextHandler(f.logs, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.db.Close() })
	if _, err := f.db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.users, f.raw = f.db.Users(), openRaw(t, dsn)
	return f
}

// forgetfulProxy passes connections on to MySQL. While it forgets, the numbers of prepared statements that clients send
// are unknown to the server.
type forgetfulProxy struct {
	dsn       string // of the database behind it
	forgets   atomic.Bool
	forgotten atomic.Int64
}

func newForgetfulProxy(t *testing.T, dsn string) *forgetfulProxy {
	t.Helper()
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	network, addr := config.Net, config.Addr
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	config.Net, config.Addr = "tcp", l.Addr().String()
	p := &forgetfulProxy{dsn: config.FormatDSN()}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial(network, addr)
			if err != nil {
				client.Close()
				return
			}
			go p.pass(server, client)
			go func() {
				io.Copy(client, server)
				client.Close()
			}()
		}
	}()
	return p
}

// pass passes on what a client sends, packet by packet.
func (p *forgetfulProxy) pass(server, client net.Conn) {
	defer server.Close()
	const execute = 0x17 // COM_STMT_EXECUTE, and then the number in four bytes
	header := make([]byte, 4)
	for {
		if _, err := io.ReadFull(client, header); err != nil {
			return
		}
		body := make([]byte, int(header[0])|int(header[1])<<8|int(header[2])<<16)
		if _, err := io.ReadFull(client, body); err != nil {
			return
		}
		if p.forgets.Load() && header[3] == 0 && len(body) > 5 && body[0] == execute {
			copy(body[1:], []byte{0xde, 0xad, 0xbe, 0x0f})
			p.forgotten.Add(1)
		}
		if _, err := server.Write(append(header, body...)); err != nil {
			return
		}
	}
}
