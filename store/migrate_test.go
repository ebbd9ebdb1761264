package store_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"

	"wxlogin"
	"wxlogin/internal/testenv/mysqltest"
	"wxlogin/store"
)

// The migration files. The first is the schema.sql of the first version.
const (
	step1 = "migrations/00001_first_version.sql"
	step2 = "migrations/00002_profile_source_phone_merges.sql"
	step3 = "migrations/00003_login_days_admin_views.sql"
	step4 = "migrations/00004_personal_data.sql"
)

// newEmpty is a fixture without tables.
func newEmpty(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{t: t, dsn: mysqltest.New(t), wire: &wire{}, clock: newClock()}
	var err error
	f.db, err = store.Open(f.dsn, store.Options{Now: f.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.db.Close() })
	f.users, f.raw = f.db.Users(), openRaw(t, f.dsn)
	f.raw.SetMaxOpenConns(1) // statements of a step share variables
	return f
}

// newFirstVersion is a database of the first version.
func newFirstVersion(t testing.TB) *fixture {
	t.Helper()
	f := newEmpty(t)
	f.script(read(t, step1))
	return f
}

// newSecondVersion is a database of the second version.
func newSecondVersion(t testing.TB) *fixture {
	t.Helper()
	f := newFirstVersion(t)
	f.script(read(t, step2))
	f.script(regexp.MustCompile(`(?s)CREATE TABLE IF NOT EXISTS schema_versions .*?;\n`).FindString(wxlogin.Schema))
	f.exec("INSERT INTO schema_versions (version_id, is_applied) VALUES (0, 1), (1, 1), (2, 1)")
	return f
}

// newThirdVersion is a database of the third version.
func newThirdVersion(t testing.TB) *fixture {
	t.Helper()
	f := newSecondVersion(t)
	f.script(read(t, step3))
	f.exec("INSERT INTO schema_versions (version_id, is_applied) VALUES (3, 1)")
	return f
}

func read(t testing.TB, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// script sends a script as a whole, like the mysql client, and fails the test on an error.
func (f *fixture) script(text string) {
	f.t.Helper()
	if err := f.tryScript(text); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) tryScript(text string) error {
	f.t.Helper()
	config, err := mysql.ParseDSN(f.dsn)
	if err != nil {
		f.t.Fatal(err)
	}
	config.MultiStatements = true
	raw := openRaw(f.t, config.FormatDSN())
	defer raw.Close()
	_, err = raw.Exec(f.collated(text))
	return err
}

// collated returns a script with a collation that this server has.
func (f *fixture) collated(script string) string {
	f.t.Helper()
	script, err := f.db.Collated(context.Background(), script)
	if err != nil {
		f.t.Fatal(err)
	}
	return script
}

// migrate migrates and checks both versions.
func (f *fixture) migrate(from, to int64) {
	f.t.Helper()
	done, err := f.db.Migrate(context.Background())
	if want := (store.Migration{From: from, To: to}); err != nil || done != want {
		f.t.Fatalf("migrated %+v, want %+v; error %v", done, want, err)
	}
}

// definitions returns the tables and views as the server shows them, without what differs between databases.
func (f *fixture) definitions() map[string]string {
	f.t.Helper()
	database := "`" + f.db.Database() + "`." // in TiDB's views
	all := map[string]string{}
	for _, table := range f.rows("SHOW TABLES") {
		for _, name := range table {
			row := f.row("SHOW CREATE TABLE " + name)
			text := row["Create Table"] + row["Create View"]
			text = strings.ReplaceAll(text, database, "")
			all[name] = regexp.MustCompile(` AUTO_INCREMENT=\d+`).ReplaceAllString(text, "")
		}
	}
	return all
}

// newest are the tables and views of schema.sql in an empty database, once newestDefinitions is done.
var (
	newest            map[string]string
	newestDefinitions sync.Once
)

// wantNewest checks that everything is as schema.sql creates it in an empty database, and that the server accepts it.
func (f *fixture) wantNewest() {
	f.t.Helper()
	newestDefinitions.Do(func() {
		model := newEmpty(f.t)
		model.script(wxlogin.Schema)
		newest = model.definitions()
	})
	got, want := f.definitions(), newest
	names := slices.Sorted(maps.Keys(want))
	if !slices.Equal(slices.Sorted(maps.Keys(got)), names) || len(names) != 15 {
		f.t.Errorf("tables %v, want %v", slices.Sorted(maps.Keys(got)), names)
	}
	for _, name := range names {
		if got[name] != want[name] {
			f.t.Errorf("%s is\n%s\nwant\n%s", name, got[name], want[name])
		}
	}
	var versions []string
	for _, row := range f.rows("SELECT version_id FROM schema_versions WHERE is_applied = 1 ORDER BY id") {
		versions = append(versions, row["version_id"])
	}
	if !slices.Equal(versions, []string{"0", "1", "2", "3", "4"}) {
		f.t.Errorf("recorded versions %v", versions)
	}
	if err := f.db.Ready(context.Background()); err != nil {
		f.t.Errorf("Ready: %v", err)
	}
}

func TestDB_Migrate(t *testing.T) {
	t.Run("empty database", func(t *testing.T) {
		f := newEmpty(t)
		f.migrate(0, store.SchemaVersion)
		f.wantNewest()
	})
	t.Run("first version", func(t *testing.T) {
		f := newFirstVersion(t)
		f.migrate(1, store.SchemaVersion)
		f.wantNewest()
	})
	t.Run("second version", func(t *testing.T) {
		f := newSecondVersion(t)
		f.migrate(2, store.SchemaVersion)
		f.wantNewest()
	})
	t.Run("third version", func(t *testing.T) {
		f := newThirdVersion(t)
		f.migrate(3, store.SchemaVersion)
		f.wantNewest()
	})
	t.Run("made by schema.sql", func(t *testing.T) {
		f := newEmpty(t)
		f.script(wxlogin.Schema)
		f.script(wxlogin.Schema) // twice in a row
		f.migrate(store.SchemaVersion, store.SchemaVersion)
		f.wantNewest()
	})
	t.Run("schema.sql after migrate changes nothing", func(t *testing.T) {
		f := newEmpty(t)
		f.migrate(0, store.SchemaVersion)
		f.script(wxlogin.Schema)
		f.wantNewest()
	})
	t.Run("up to date keeps data", func(t *testing.T) {
		f := newFixture(t)
		f.login(appA, "oAlice", "uAlice")
		user := f.update(appA, "oAlice", store.Profile{NickName: "Alice😀"})
		f.migrate(store.SchemaVersion, store.SchemaVersion)
		if again, created := f.login(appA, "oAlice", "uAlice"); created || again != user {
			t.Errorf("created %v\n got %+v\nwant %+v", created, again, user)
		}
		f.wantCounts(1, 1)
	})
	t.Run("later version is left alone", func(t *testing.T) {
		f := newFixture(t)
		f.exec("INSERT INTO schema_versions (version_id, is_applied) VALUES (99, 1)")
		f.migrate(99, 99)
	})
}

// If schema.sql is run by hand on an older database, it must not record a version whose columns are missing.
func TestDB_MigrateAfterSchemaSQL(t *testing.T) {
	for version, older := range map[int64]func(testing.TB) *fixture{1: newFirstVersion, 2: newSecondVersion, 3: newThirdVersion} {
		f := older(t)
		if err := f.tryScript(wxlogin.Schema); err == nil {
			t.Errorf("version %d: schema.sql says nothing about the older tables", version)
		}
		if err := f.db.Ready(t.Context()); !errors.Is(err, store.ErrSchema) {
			t.Errorf("version %d: Ready: %v", version, err)
		}
		f.migrate(version, store.SchemaVersion)
		f.wantNewest()
	}
}

// TiDB has another collation, and cannot add a column after one that the same ALTER adds.
func TestMigrationFiles_TiDB(t *testing.T) {
	files := store.MigrationsWith("utf8mb4_0900_ai_ci")
	for _, name := range []string{step1, step2, step3} {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.ReplaceAll(read(t, name), "utf8mb4_unicode_520_ci", "utf8mb4_0900_ai_ci")
		if string(text) != want || !strings.Contains(want, "utf8mb4_0900_ai_ci") {
			t.Errorf("%s in the other collation is\n%s", name, text)
		}
		for _, alter := range regexp.MustCompile(`(?s)ALTER TABLE.*?;\n`).FindAllString(want, -1) {
			for _, added := range regexp.MustCompile(`ADD COLUMN (\w+)`).FindAllStringSubmatch(alter, -1) {
				if strings.Contains(alter, "AFTER "+added[1]) {
					t.Errorf("%s: one ALTER adds %s and a column after it", name, added[1])
				}
			}
		}
	}
}

// A step that was interrupted after any of its statements runs again as a whole.
func TestDB_MigrateResume(t *testing.T) {
	for _, tt := range []struct {
		file string
		from int64
		make func(testing.TB) *fixture
	}{{step1, 1, newEmpty}, {step2, 1, newFirstVersion}, {step3, 2, newSecondVersion}, {step4, 3, newThirdVersion}} {
		statements := strings.SplitAfter(read(t, tt.file), ";\n")
		if len(statements) < 4 {
			t.Fatalf("%s has %d statements", tt.file, len(statements))
		}
		for n := 2; n <= len(statements); n++ {
			f := tt.make(t)
			if tt.from == 1 && tt.file == step2 {
				f.exec("INSERT INTO users (id, nickname, created_at, updated_at, last_login_at) VALUES (7, 'A', NOW(), NOW(), NOW())")
			}
			for _, statement := range statements[:n] {
				if strings.TrimSpace(statement) != "" {
					f.exec(f.collated(statement))
				}
			}
			f.migrate(tt.from, store.SchemaVersion)
			f.wantNewest()
			if t.Failed() {
				t.Fatalf("%s was cut off after statement %d", tt.file, n)
			}
		}
	}
}

// If a step fails, the error names it, and it continues when the obstacle is gone.
func TestDB_MigrateFailedStep(t *testing.T) {
	for _, tt := range []struct {
		step, obstacle, remedy string
		reached                int64 // version before the obstacle
	}{
		{step1, "CREATE TABLE user_profiles (id INT)", "DROP TABLE user_profiles", 1},
		{step2, "CREATE TABLE user_merges (id INT)", "DROP TABLE user_merges", 1},
		{step3, "CREATE TABLE login_days (id INT)", "DROP TABLE login_days", 2},
		{step4, "CREATE TABLE user_changes (id INT)", "DROP TABLE user_changes", 3},
	} {
		t.Run(tt.step, func(t *testing.T) {
			f := newFirstVersion(t)
			f.exec("DROP VIEW user_profiles")
			f.exec(tt.obstacle)
			_, err := f.db.Migrate(t.Context())
			name := strings.TrimPrefix(tt.step, "migrations/")
			if err == nil || errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), name) {
				t.Fatalf("error %v", err)
			}
			if err := f.db.Ready(t.Context()); !errors.Is(err, store.ErrSchema) {
				t.Errorf("Ready: %v", err)
			}
			f.exec(tt.remedy)
			f.migrate(tt.reached, store.SchemaVersion)
			f.wantNewest()
		})
	}
}

func TestDB_MigrateLock(t *testing.T) {
	t.Run("only one of several does the work", func(t *testing.T) {
		for name, newDB := range map[string]func(testing.TB) *fixture{
			"empty": newEmpty, "first version": newFirstVersion, "second version": newSecondVersion,
		} {
			t.Run(name, func(t *testing.T) {
				f := newDB(t)
				moved := make([]bool, 8)
				concurrently(len(moved), func(i int) {
					done, err := f.db.Migrate(t.Context())
					if err != nil || done.To != store.SchemaVersion {
						t.Errorf("to %d, error %v", done.To, err)
					}
					moved[i] = done.From != done.To
				})
				if n := len(slices.DeleteFunc(moved, func(m bool) bool { return !m })); n != 1 {
					t.Errorf("%d of them did the work", n)
				}
				f.wantNewest()
			})
		}
	})

	t.Run("waits no longer than its context", func(t *testing.T) {
		f := newFirstVersion(t)
		f.row("SELECT GET_LOCK(CONCAT('wxlogin migrate ', LEFT(SHA2(DATABASE(), 256), 32)), 0) AS l") // as another migrate would
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := f.db.Migrate(ctx)
			done <- err
		}()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		if err := f.db.Ready(t.Context()); !errors.Is(err, store.ErrSchema) {
			t.Errorf("Ready: %v", err)
		}
	})
}

// TestDB_MigrateKeepsRows migrates a database of the first version with all kinds of users.
func TestDB_MigrateKeepsRows(t *testing.T) {
	n := 10_000
	if !realServer {
		n = 400 // the embedded engine takes minutes for more
	}
	f := newFirstVersion(t)
	fillFirstVersion(f, n)
	before := f.firstVersionRows()
	f.migrate(1, store.SchemaVersion)
	if after := f.firstVersionRows(); !slices.Equal(after, before) {
		t.Errorf("%d rows before, %d after, or another content", len(before), len(after))
	}
	f.wantCounts(n, n)
	for condition, want := range map[string]int{
		"profile_source = 1 AND (nickname <> '' OR avatar_url <> '')":                    n / 2,
		"profile_source = 0 AND nickname = '' AND avatar_url = ''":                       n / 2,
		"phone_number IS NULL AND phone_country_code IS NULL AND phone_bound_at IS NULL": n,
		"id IN (SELECT merged_id FROM user_merges WHERE survivor_id = merged_into)":      n / 100,
	} {
		if got := f.row("SELECT COUNT(*) AS n FROM users WHERE " + condition)["n"]; got != fmt.Sprint(want) {
			t.Errorf("%s: %s, want %d", condition, got, want)
		}
	}
	f.wantNewest()
	user, created := f.login(appA, "oUser2", "")
	if created || user.ID != 2 || user.NickName != "Nick😀2" || user.Source != store.SourceWeChat {
		t.Errorf("a returning user: created %v, %+v", created, user)
	}
}

// fillFirstVersion creates n users with an identity each. Every second has a nickname or an avatar, one in a hundred
// has been merged into the one before it.
func fillFirstVersion(f *fixture, n int) {
	f.t.Helper()
	var users, identities []string
	flush := func() {
		f.exec("INSERT INTO users (id, unionid, status, merged_into, nickname, avatar_url, gender, city, profile_as_of, " +
			"profile_updated_at, created_at, updated_at, last_login_at) VALUES " + strings.Join(users, ","))
		f.exec("INSERT INTO wechat_identities (appid, openid, user_id, created_at) VALUES " + strings.Join(identities, ","))
		users, identities = nil, nil
	}
	const then = "'2025-01-02 03:04:05.678'"
	for id := 1; id <= n; id++ {
		unionID, status, mergedInto, nickname, avatar, owner := fmt.Sprintf("'u%d'", id), 1, "NULL", "", "", id
		switch id % 4 {
		case 0:
			avatar = fmt.Sprintf("https://a/%d", id)
		case 2:
			nickname = fmt.Sprintf("Nick😀%d", id)
		}
		if id%100 == 0 {
			unionID, status, mergedInto, owner = "NULL", 3, fmt.Sprint(id-1), id-1
		}
		users = append(users, fmt.Sprintf("(%d, %s, %d, %s, '%s', '%s', %d, '广州', %s, %s, %s, %s, %s)",
			id, unionID, status, mergedInto, nickname, avatar, id%3, then, then, then, then, then))
		identities = append(identities, fmt.Sprintf("('%s', 'oUser%d', %d, %s)", appA, id, owner, then))
		if len(users) == 200 {
			flush()
		}
	}
}

// firstVersionRows returns all rows of the first version's tables, in the columns that it had.
func (f *fixture) firstVersionRows() []string {
	f.t.Helper()
	var all []string
	for _, query := range []string{
		"SELECT id, unionid, status, merged_into, nickname, avatar_url, gender, country, province, city, language, " +
			"profile_as_of, profile_updated_at, created_at, updated_at, last_login_at FROM users ORDER BY id",
		"SELECT appid, openid, user_id, created_at FROM wechat_identities ORDER BY openid, appid",
	} {
		for _, row := range f.rows(query) {
			all = append(all, fmt.Sprint(row))
		}
	}
	return all
}
