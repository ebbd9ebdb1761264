package store_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"wxlogin/internal/testenv"
	"wxlogin/internal/testenv/mysqltest"
	"wxlogin/store"
)

// TestUsers_RoundTrips counts the statements of each call: each is one round trip.
func TestUsers_RoundTrips(t *testing.T) {
	for _, tt := range []struct {
		name string
		call func(f *fixture)
		want []string
	}{
		{"returning", func(f *fixture) { f.login(appA, "oAlice", "uAlice") }, []string{"SELECT"}},
		{"returning after the hour", func(f *fixture) {
			f.clock.advance(time.Hour)
			f.login(appA, "oAlice", "uAlice")
		}, []string{"SELECT", "UPDATE"}},
		{"new", func(f *fixture) { f.login(appA, "oBob", "") }, []string{"SELECT", "BEGIN", "INSERT", "INSERT", "COMMIT"}},
		{"new with unionid", func(f *fixture) { f.login(appA, "oBob", "uBob") },
			[]string{"SELECT", "SELECT", "BEGIN", "INSERT", "INSERT", "COMMIT"}},
		{"known in another app", func(f *fixture) { f.login(appB, "oAliceInB", "uAlice") },
			[]string{"SELECT", "SELECT", "BEGIN", "SELECT", "INSERT", "COMMIT"}},
		{"find", func(f *fixture) { f.users.Find(t.Context(), appA, "oAlice") }, []string{"SELECT"}},
		{"find unknown", func(f *fixture) { f.users.Find(t.Context(), appA, "oUnknown") }, []string{"SELECT"}},
		{"update unchanged", func(f *fixture) { f.update(appA, "oAlice", store.Profile{NickName: "Alice"}) }, []string{"SELECT"}},
		{"update changed", func(f *fixture) { f.update(appA, "oAlice", store.Profile{NickName: "Alicia"}) },
			[]string{"SELECT", "UPDATE"}},
		{"phone unchanged", func(f *fixture) { f.bind(appA, "oAlice", firstPhone) }, []string{"SELECT"}},
		{"phone changed", func(f *fixture) { f.bind(appA, "oAlice", secondPhone) }, []string{"SELECT", "UPDATE"}},
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

// warmUp creates Alice and lets the connection prepare its statements.
func (f *fixture) warmUp() {
	f.t.Helper()
	f.login(appA, "oAlice", "uAlice")
	f.clock.advance(time.Hour)
	f.login(appA, "oAlice", "uAlice")
	f.update(appA, "oAlice", store.Profile{NickName: "Alice"})
	f.bind(appA, "oAlice", firstPhone)
}

// TestStatements_UseIndexes checks the query plan of every statement that this package sends, those of GORM included,
// among thousands of rows. It also fails if a hot statement is not sent here: add a call that sends it to sendAll.
func TestStatements_UseIndexes(t *testing.T) {
	if !realServer {
		t.Skip("the embedded engine has a planner of its own; TestUsers_Login_reads_by_index asks it")
	}
	f := newFixture(t)
	f.fill(4000)
	f.wire.reset()
	f.sendAll(t)

	sent := map[string]statement{}
	for _, s := range f.wire.statements() {
		sent[s.sql] = s
	}
	for _, text := range store.HotStatements() {
		if _, ok := sent[text]; !ok {
			t.Errorf("nothing here sends %q", text)
		}
	}
	for text, s := range sent {
		switch verb, _, _ := strings.Cut(text, " "); verb {
		case "BEGIN", "COMMIT", "ROLLBACK":
		case "INSERT":
			f.wantNothingLookedUp(t, s)
		default:
			f.wantByIndex(t, s)
		}
	}
}

// fill creates users with an identity each, and updates the server's statistics.
func (f *fixture) fill(people int) {
	f.t.Helper()
	values := func(row string) string {
		rows := make([]string, people)
		for i := range rows {
			rows[i] = strings.ReplaceAll(row, "#", strconv.Itoa(i+1))
		}
		return strings.Join(rows, ", ")
	}
	f.exec("INSERT INTO users (id, unionid, phone_country_code, phone_number, created_at, updated_at, last_login_at) VALUES " +
		values("(#, 'uFilled#', '86', '1380000#', '2020-01-01', '2020-01-01', '2020-01-01')"))
	f.exec("INSERT INTO wechat_identities (appid, openid, user_id, created_at) VALUES " +
		values("('"+appA+"', 'oFilled#', #, NOW())"))
	f.exec("INSERT INTO user_merges (survivor_id, merged_id, merged_at) VALUES " + values("(#, #, NOW())"))
	f.exec("INSERT INTO login_days (day, appid, logins, new_users, active_users) VALUES " +
		values("('2020-01-01' + INTERVAL # DAY, '"+appA+"', 1, 1, 1)"))
	f.rows("ANALYZE TABLE users, wechat_identities, user_merges, login_days")
}

// sendAll makes all calls of the hot path and the rare ones.
func (f *fixture) sendAll(t *testing.T) {
	f.login(appA, "oAlice", "uAlice")
	f.clock.advance(time.Hour)
	f.login(appA, "oAlice", "uAlice")
	f.login(appB, "oAliceInB", "uAlice") // links
	f.login(appC, "oAliceInC", "")
	f.update(appC, "oAliceInC", store.Profile{NickName: "Alice"})
	f.exec("UPDATE users SET profile_as_of = '2099-01-01' WHERE nickname = 'Alice'")
	f.update(appC, "oAliceInC", store.Profile{NickName: "Alice"}) // heals
	f.bind(appC, "oAliceInC", firstPhone)
	f.login(appC, "oAliceInC", "uAlice") // merges
	f.login(appA, "oBob", "")
	f.login(appA, "oBob", "uBob")
	f.login(appA, "oLost", "")
	f.exec("DELETE u FROM users u JOIN wechat_identities i ON i.user_id = u.id WHERE i.openid = 'oLost'")
	f.login(appA, "oLost", "")
	var openIDs []string
	var ids []uint64
	for i := range 2 + 16 {
		ids, openIDs = append(ids, uint64(100*i+1)), append(openIDs, fmt.Sprintf("oFilled%d", 100*i+1))
	}
	for _, users := range [][2]int{{0, 2}, {2, 2 + 16}} {
		from, to := users[0], users[1]
		find := f.db.FindMany(t.Context(), appA, openIDs[from:to]...)
		write := f.db.WriteMany(t.Context(), "Alice", ids[from:to]...)
		if find != nil || write != nil {
			t.Fatal(find, write)
		}
	}
	for n := range 16 {
		var newcomers []store.Identity
		for i := range n + 1 {
			newcomers = append(newcomers, store.Identity{AppID: appB, OpenID: fmt.Sprintf("oNewcomer%d_%d", n, i)})
		}
		if err := f.db.CreateMany(t.Context(), newcomers...); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.db.WriteLoginDays(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.clock.advance(time.Hour)
	if _, err := f.users.Find(t.Context(), appA, "oBob"); err != nil { // writes last_seen_at
		t.Fatal(err)
	}
}

// explain returns the plan of a statement, with the values that it was sent with.
func (f *fixture) explain(s statement) []map[string]string {
	f.t.Helper()
	args := make([]any, len(s.args))
	for i, arg := range s.args {
		args[i] = arg.Value
	}
	return f.rows("EXPLAIN FORMAT=TRADITIONAL "+s.sql, args...)
}

// wantByIndex checks that each step of a plan reads a few rows, by a key.
func (f *fixture) wantByIndex(t *testing.T, s statement) {
	t.Helper()
	const few = 16 // the rows of the largest batch
	plan := f.explain(s)
	if len(plan) == 0 {
		t.Errorf("no plan for %s", s.sql)
	}
	for _, step := range plan {
		if step["Extra"] == "Impossible WHERE noticed after reading const tables" {
			continue // by a unique key, which the server has looked up already
		}
		rows, err := strconv.Atoi(step["rows"])
		if err != nil || rows > few || step["key"] == "NULL" ||
			!slices.Contains([]string{"const", "eq_ref", "ref", "range"}, step["type"]) {
			t.Errorf("%s: %v", s.sql, step)
		}
	}
}

// wantNothingLookedUp checks that an INSERT reads no table.
func (f *fixture) wantNothingLookedUp(t *testing.T, s statement) {
	t.Helper()
	plan := f.explain(s)
	if len(plan) != 1 || plan[0]["select_type"] != "INSERT" || plan[0]["rows"] != "NULL" {
		t.Errorf("%s: %v", s.sql, plan)
	}
}

// callAll makes all calls that send hot statements, and checks the rows after that.
func (f *fixture) callAll(round string) {
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
	if _, err := f.users.Find(ctx, appA, "oUnknown"); !errors.Is(err, store.ErrNotFound) {
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

// wantWarnings checks the number of warnings about prepared statements.
func (f *fixture) wantWarnings(want int) {
	f.t.Helper()
	if got := strings.Count(f.logs.String(), "prepared statements are refused or lost"); got != want {
		f.t.Errorf("%d warnings, want %d:\n%s", got, want, f.logs)
	}
}

// prepareErrors are the errors by which servers and proxies refuse prepared statements.
var prepareErrors = map[string]struct {
	stage string
	err   mysql.MySQLError
}{
	"no more":           {"prepare", mysql.MySQLError{Number: 1461, Message: "Can't create more than max_prepared_stmt_count statements"}},
	"unsupported":       {"prepare", mysql.MySQLError{Number: 1295}},
	"unknown command":   {"prepare", mysql.MySQLError{Number: 1047}},
	"not yet supported": {"prepare", mysql.MySQLError{Number: 1235}},
	"lost":              {"execute", mysql.MySQLError{Number: 1243}},
	"another statement": {"execute", mysql.MySQLError{Number: 1210}},
	"need reprepare":    {"execute", mysql.MySQLError{Number: 1615}},
	"lost by vitess":    {"execute", mysql.MySQLError{Number: 2014, Message: "statement ID is not found from record"}},
	"lost by tidb":      {"execute", mysql.MySQLError{Number: 1105, Message: "ERROR 1243 (HY000): Unknown prepared statement handler 7 given to stmt_execute"}},
}

func TestStmtCache(t *testing.T) {
	t.Run("refused statements are sent as text at once", func(t *testing.T) {
		for name, tt := range prepareErrors {
			t.Run(name, func(t *testing.T) {
				f := newFixture(t)
				f.callAll("before")
				f.wire.refusePrepared(func(stage string) error {
					if stage == tt.stage {
						return &tt.err
					}
					return nil
				})
				if tt.stage == "prepare" { // a prepared statement stays prepared until its connection ends
					f.db.CloseIdle()
				}
				f.callAll("refused")
				f.wantWarnings(1)

				f.wire.reset()
				f.callAll("meanwhile") // this takes hours: preparing is tried again, and refused
				if got := f.wire.preparations(); tt.stage == "prepare" && got > 2 {
					t.Errorf("prepared %d times", got)
				}
				f.wire.refusePrepared(nil)
				f.clock.advance(3 * time.Hour)
				f.wire.reset()
				f.callAll("after")
				if f.wire.preparations() == 0 {
					t.Error("nothing is prepared afterwards")
				}
			})
		}
	})

	t.Run("pauses after a failure", func(t *testing.T) {
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
		f.login(appA, "oAlice", "") // it works again, so that another failure is logged
		f.clock.advance(24 * time.Hour)
		f.wire.refusePrepared(func(string) error { return &mysql.MySQLError{Number: 1243} })
		f.login(appA, "oAlice", "")
		f.wantWarnings(2)
	})

	// Many concurrent calls meet a lost statement at most once each, and all succeed.
	t.Run("statements are lost under load", func(t *testing.T) {
		f := newFixture(t)
		f.callAll("before")
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
	})

	// It runs on a real server that has reached its limit, and on one that loses prepared statements.
	t.Run("server at its limit of prepared statements", func(t *testing.T) {
		s := mysqltest.RunServer(t)
		f := fixtureOn(t, s.NewDatabase(t, "app", "ALL"))
		f.callAll("before")
		s.Exec(t, "SET GLOBAL max_prepared_stmt_count = 0")
		f.callAll("on_old_connections")
		fresh := fixtureOn(t, f.dsn)
		fresh.callAll("on_new_connections")
		fresh.wantWarnings(1)
		s.Exec(t, "SET GLOBAL max_prepared_stmt_count = 16382")
		fresh.clock.advance(24 * time.Hour)
		fresh.callAll("after")
		var name, count string
		if err := s.Root.QueryRow("SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'").Scan(&name, &count); err != nil || count == "0" {
			t.Errorf("%s statements are prepared afterwards, %v", count, err)
		}
	})

	t.Run("proxy that loses prepared statements", func(t *testing.T) {
		proxy := newForgetfulProxy(t, mysqltest.New(t))
		f := fixtureOn(t, proxy.dsn)
		f.callAll("before")
		f.wantWarnings(0)
		proxy.forgets.Store(true)
		f.clock.advance(time.Hour)
		f.callAll("forgotten")
		if proxy.forgotten.Load() == 0 {
			t.Error("no prepared statement went through the proxy")
		}
		f.wantWarnings(1)
		f.wantNoOrphans()
	})
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
	f.callAll("text")
	w.wantNothingPrepared(t)
}

// fixtureOn is newFixture on an existing database.
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

// forgetfulProxy forwards connections to MySQL. While forgets is set, it replaces the ids of prepared statements by
// unknown ones.
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

// pass forwards what a client sends, packet by packet.
func (p *forgetfulProxy) pass(server, client net.Conn) {
	defer server.Close()
	const execute = 0x17 // COM_STMT_EXECUTE, followed by the id in four bytes
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
