package docs_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"wxlogin/internal/testenv/mysqltest"
	"wxlogin/internal/testenv/redistest"
	"wxlogin/store"
)

// The rights in Redis that operators grant are those that the tests run with.
func TestOperations_RedisRights(t *testing.T) {
	page := read(t, "operations.md")
	for _, line := range []string{
		"\nACL SETUSER wxlogin on >PASSWORD " + redistest.Rights + "\n",
		"\nACL SETUSER watcher on >PASSWORD " + redistest.SentinelRights + "\n",
	} {
		if !strings.Contains(page, line) {
			t.Errorf("operations.md lacks%s", line)
		}
	}
}

// Three apps: one moves from the old Open Platform account to the new one, the others stay where they are.
const (
	movedApp = "wx0123456789abcdef" // as docs/operations.md has it
	newApp   = "wxbbbbbbbbbbbbbbbb"
	oldApp   = "wxcccccccccccccccc"
)

// move is a database with users from before, during and after an app's move.
type move struct {
	t     *testing.T
	db    *store.DB
	users *store.Users
	raw   *sql.DB
	now   time.Time
}

func newMove(t *testing.T) *move {
	t.Helper()
	dsn := mysqltest.NewWithSchema(t)
	m := &move{t: t, raw: openSQL(t, dsn), now: time.Now()}
	var err error
	m.db, err = store.Open(dsn, store.Options{Now: func() time.Time { return m.now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.db.Close() })
	m.users = m.db.Users()
	return m
}

// login logs a person in to an app. WeChat sends the unionid that the person has in the account.
func (m *move) login(person, app, account string) store.User {
	m.t.Helper()
	m.now = m.now.Add(time.Minute)
	user, _, err := m.users.Login(m.t.Context(), store.Identity{AppID: app, OpenID: "o-" + person, UnionID: account + "-" + person})
	if err != nil {
		m.t.Fatalf("%s: %v", person, err)
	}
	return user
}

// same asserts that a login finds a user.
func (m *move) same(what string, got store.User, want uint64, unionID string) {
	m.t.Helper()
	if got.ID != want || got.UnionID != unionID {
		m.t.Errorf("%s: user %d with unionid %q, want %d with %q", what, got.ID, got.UnionID, want, unionID)
	}
}

// clear runs the documented statement, without LEFT JOIN and the last condition if narrow is false.
func (m *move) clear(narrow bool) {
	m.t.Helper()
	_, statement, _ := strings.Cut(read(m.t, "operations.md"), "```sql\nUPDATE users u ")
	statement, _, found := strings.Cut("UPDATE users u "+statement, "\n```\n")
	if !found {
		m.t.Fatal("operations.md has no such statement")
	}
	if !narrow {
		lines := strings.Split(statement, "\n")
		statement = strings.Join(append(lines[:1], lines[2:len(lines)-1]...), "\n")
	}
	run(m.t, m.raw, statement)
}

func (m *move) unionID(id uint64) string {
	m.t.Helper()
	var unionID sql.NullString
	if err := m.raw.QueryRow(fmt.Sprint("SELECT unionid FROM users WHERE id = ", id)).Scan(&unionID); err != nil {
		m.t.Fatal(err)
	}
	return unionID.String
}

func TestOperations_AppMoves(t *testing.T) {
	m := newMove(t)
	alice := m.login("alice", movedApp, "old")    // has used the app that moves
	aliceInNew := m.login("alice", newApp, "new") // and one of the new account
	bob := m.login("bob", movedApp, "old")        // only the app that moves
	carol := m.login("carol", movedApp, "old")    // and one that stays
	m.same("carol", m.login("carol", oldApp, "old"), carol.ID, "old-carol")
	dave := m.login("dave", oldApp, "old")     // only the one that stays
	eve := m.login("eve", movedApp, "old")     // is blocked
	frank := m.login("frank", movedApp, "old") // opens the other app first
	run(t, m.raw, fmt.Sprint("UPDATE users SET status = 2 WHERE id = ", eve.ID))

	// The app has moved. Nothing changes by itself.
	m.same("alice, kept", m.login("alice", movedApp, "new"), alice.ID, "old-alice")
	erin := m.login("erin", movedApp, "new") // comes after the move
	if got := m.db.UnionIDConflicts(movedApp); got != 1 {
		t.Errorf("%d conflicts, want 1", got)
	}

	m.clear(true)
	for id, want := range map[uint64]string{
		alice.ID: "", aliceInNew.ID: "new-alice", bob.ID: "", carol.ID: "old-carol", dave.ID: "old-dave", eve.ID: "old-eve", frank.ID: "",
	} {
		if got := m.unionID(id); got != want {
			t.Errorf("user %d has unionid %q, want %q", id, got, want)
		}
	}
	m.same("alice, merged", m.login("alice", movedApp, "new"), alice.ID, "new-alice")
	m.same("alice in the other app", m.login("alice", newApp, "new"), alice.ID, "new-alice")
	m.same("bob", m.login("bob", movedApp, "new"), bob.ID, "new-bob")
	m.same("bob in the other app", m.login("bob", newApp, "new"), bob.ID, "new-bob")
	m.same("carol", m.login("carol", movedApp, "new"), carol.ID, "old-carol")
	m.same("carol in the app that stays", m.login("carol", oldApp, "old"), carol.ID, "old-carol")
	m.same("dave", m.login("dave", oldApp, "old"), dave.ID, "old-dave")
	m.same("erin", m.login("erin", movedApp, "new"), erin.ID, "new-erin")
	if user := m.login("eve", movedApp, "new"); user.Active() || user.UnionID != "old-eve" {
		t.Errorf("eve: status %d, unionid %q", user.Status, user.UnionID)
	}
	if user := m.login("eve", oldApp, "old"); user.Active() || user.ID != eve.ID {
		t.Error("eve comes back by another app of the old account")
	}
	if user := m.login("frank", newApp, "new"); user.ID == frank.ID {
		t.Error("frank is known by a unionid that was never seen")
	}
	m.same("frank", m.login("frank", movedApp, "new"), frank.ID, "new-frank")
	m.same("frank in the other app", m.login("frank", newApp, "new"), frank.ID, "new-frank")
	if got := column(t, m.raw, "SELECT COUNT(*) AS merges FROM user_merges", "merges"); got[0] != "2" {
		t.Errorf("%s merges, want those of alice and frank", got[0])
	}
	m.fitTogether()
}

// Without the last condition, users of apps of both accounts get the new unionid too.
func TestOperations_AppMoves_AllUsers(t *testing.T) {
	m := newMove(t)
	carol := m.login("carol", movedApp, "old")
	m.login("carol", oldApp, "old")
	m.login("carol", newApp, "new")
	dora := m.login("dora", movedApp, "old")
	m.login("dora", oldApp, "old")
	m.clear(false)
	m.same("carol, merged", m.login("carol", movedApp, "new"), carol.ID, "new-carol")
	m.same("carol in the app that stays", m.login("carol", oldApp, "old"), carol.ID, "new-carol")
	m.same("carol in the other app", m.login("carol", newApp, "new"), carol.ID, "new-carol")
	m.same("dora opens the app that stays", m.login("dora", oldApp, "old"), dora.ID, "old-dora")
	m.same("dora", m.login("dora", movedApp, "new"), dora.ID, "old-dora")
	m.fitTogether()
}

// fitTogether asserts that the tables are consistent.
func (m *move) fitTogether() {
	m.t.Helper()
	queries := queriesOf(m.t, adminQueries)
	if faults := table(m.t, m.raw, queries[len(queries)-1].sql, "fault|user_id"); len(faults) > 0 {
		m.t.Errorf("faults %q", faults)
	}
}
