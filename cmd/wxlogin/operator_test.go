package main

import (
	"bytes"
	"database/sql"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wxlogin/internal/testenv/mysqltest"
	"wxlogin/internal/testenv/redistest"
	"wxlogin/session"
	"wxlogin/store"
)

const (
	otherApp   = "wxfedcba9876543210"
	sessionKey = "c2Vzc2lvbmtleTEyMzQ1Ng=="
	picture    = "/avatars/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.jpg"
)

// operator is a database and a Redis with users, and the commands that change them.
type operator struct {
	t        *testing.T
	dsn, dir string
	redis    *redistest.Redis
	raw      *sql.DB
	users    *store.Users
	sessions *session.Store
	environ  []string
	phones   []string // that no output but an export may contain
}

func newOperator(t *testing.T) *operator {
	t.Helper()
	o := &operator{t: t, dsn: mysqltest.NewWithSchema(t), dir: t.TempDir(), redis: redistest.NewServer(t)}
	db, err := store.Open(o.dsn, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	o.users = db.Users()
	if o.raw, err = sql.Open("mysql", o.dsn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.raw.Close() })
	o.sessions, err = session.New(session.Options{
		Redis: o.redis.Client, Apps: []session.App{{AppID: appID, Secret: secret}, {AppID: otherApp, Secret: secret}},
	})
	if err != nil {
		t.Fatal(err)
	}
	o.environ = []string{
		"WECHAT_APPID=" + appID, "WECHAT_SECRET=" + secret, "MYSQL_DSN=" + o.dsn, "REDIS_URL=" + o.redis.URL,
		"AVATAR_DIR=" + o.dir, "PUBLIC_URL=https://login.example.com",
	}
	return o
}

// run runs a command and returns its exit code and output. No output contains a secret.
func (o *operator) run(args ...string) (code int, stdout, stderr string) {
	o.t.Helper()
	var out, errs bytes.Buffer
	code = run(o.t.Context(), args, o.environ, &out, &errs)
	forbidden := []string{secret, sessionKey}
	if !slices.Contains(args, "export") {
		forbidden = append(forbidden, o.phones...)
	}
	for _, text := range forbidden {
		if strings.Contains(out.String()+errs.String(), text) {
			o.t.Errorf("%q prints a secret or a phone number", args)
		}
	}
	return code, out.String(), errs.String()
}

// want runs a command, and fails if the exit code is another one or a word is missing in the output.
func (o *operator) want(code int, words string, args ...string) (stdout string) {
	o.t.Helper()
	got, stdout, stderr := o.run(args...)
	if got != code || !strings.Contains(stdout+stderr, words) {
		o.t.Errorf("%q: exit code %d, want %d and %q\n%s%s", args, got, code, words, stdout, stderr)
	}
	return stdout
}

// login makes a user, or returns the one that there is.
func (o *operator) login(app, openID, unionID string) store.User {
	o.t.Helper()
	user, _, err := o.users.Login(o.t.Context(), store.Identity{AppID: app, OpenID: openID, UnionID: unionID})
	if err != nil {
		o.t.Fatal(err)
	}
	return user
}

func (o *operator) profile(openID string, p store.Profile) {
	o.t.Helper()
	if _, _, err := o.users.UpdateProfile(o.t.Context(), appID, openID, p); err != nil {
		o.t.Fatal(err)
	}
}

func (o *operator) phone(openID, countryCode, number string) {
	o.t.Helper()
	o.phones = append(o.phones, number)
	if _, err := o.users.BindPhone(o.t.Context(), appID, openID, store.Phone{CountryCode: countryCode, Number: number}); err != nil {
		o.t.Fatal(err)
	}
}

// alice makes a user with everything: two mini-programs, a merged user, a session in each, a picture and a phone number.
func (o *operator) alice() (alice, merged store.User) {
	o.t.Helper()
	alice, merged = o.login(appID, "oAlice", ""), o.login(otherApp, "oAliceToo", "uAlice")
	o.profile("oAlice", store.Profile{NickName: "Alice", AvatarURL: picture, City: "深圳", Source: store.SourceUser})
	o.phone("oAlice", "86", "13800138000")
	if after := o.login(appID, "oAlice", "uAlice"); after.ID != alice.ID {
		o.t.Fatalf("user %d survives, want %d", after.ID, alice.ID)
	}
	for app, openID := range map[string]string{appID: "oAlice", otherApp: "oAliceToo"} {
		o.session(app, openID)
	}
	o.file(picture)
	return alice, merged
}

func (o *operator) session(app, openID string) {
	o.t.Helper()
	if _, err := o.sessions.Create(o.t.Context(), session.Session{AppID: app, OpenID: openID, SessionKey: sessionKey}); err != nil {
		o.t.Fatal(err)
	}
}

// file makes the file of a picture.
func (o *operator) file(path string) {
	o.t.Helper()
	if err := os.WriteFile(filepath.Join(o.dir, filepath.Base(path)), []byte("picture"), 0o600); err != nil {
		o.t.Fatal(err)
	}
}

// files returns the names of the pictures.
func (o *operator) files() (names []string) {
	o.t.Helper()
	entries, err := os.ReadDir(o.dir)
	if err != nil {
		o.t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// keys returns the keys of sessions in Redis.
func (o *operator) keys() (keys []string) {
	o.t.Helper()
	for _, key := range slices.Sorted(maps.Keys(o.redis.Dump(o.t))) {
		if strings.HasPrefix(key, "wxlogin:session") {
			keys = append(keys, key)
		}
	}
	return keys
}

// column returns the first column of a query's rows as text.
func (o *operator) column(query string, args ...any) (values []string) {
	o.t.Helper()
	rows, err := o.raw.Query(query, args...)
	if err != nil {
		o.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var value sql.NullString
		if err := rows.Scan(&value); err != nil {
			o.t.Fatal(err)
		}
		values = append(values, value.String)
	}
	if err := rows.Err(); err != nil {
		o.t.Fatal(err)
	}
	return values
}

// state is everything that a command could change.
func (o *operator) state() string {
	o.t.Helper()
	var all []string
	for _, table := range []string{"users", "wechat_identities", "user_merges", "user_changes", "pending_deletions", "login_days"} {
		all = append(all, table)
		rows, err := o.raw.Query("SELECT * FROM " + table)
		if err != nil {
			o.t.Fatal(err)
		}
		columns, err := rows.Columns()
		if err != nil {
			o.t.Fatal(err)
		}
		values, targets := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range values {
			targets[i] = &values[i]
		}
		for rows.Next() {
			if err := rows.Scan(targets...); err != nil {
				o.t.Fatal(err)
			}
			all = append(all, fmt.Sprint(values))
		}
		if err := rows.Err(); err != nil {
			o.t.Fatal(err)
		}
	}
	all = append(all, o.files()...)
	return strings.Join(append(all, o.keys()...), "\n")
}

// unchanged fails if something changes while work runs.
func (o *operator) unchanged(work func()) {
	o.t.Helper()
	before := o.state()
	work()
	if after := o.state(); after != before {
		o.t.Errorf("the state was\n%s\nand is\n%s", before, after)
	}
}

// id is the text of a user's id.
func id(user store.User) string { return fmt.Sprint(user.ID) }
