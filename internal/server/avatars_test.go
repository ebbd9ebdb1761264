package server

import (
	"database/sql"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wxlogin/internal/config"
	"wxlogin/internal/testenv/mysqltest"
)

func sweepConfig(t *testing.T) config.Sweep {
	t.Helper()
	return config.Sweep{
		MySQLDSN: mysqltest.NewWithSchema(t),
		Avatars:  config.Avatars{Dir: t.TempDir(), PublicURL: "https://login.example.com"},
	}
}

// writeOldPicture writes a picture that is two days old and returns its name.
func writeOldPicture(t *testing.T, c config.Sweep, digit string) string {
	t.Helper()
	name := strings.Repeat(digit, 32) + ".jpg"
	file := filepath.Join(c.Avatars.Dir, name)
	if err := os.WriteFile(file, []byte("picture"), 0o600); err != nil {
		t.Fatal(err)
	}
	when := time.Now().Add(-48 * time.Hour)
	if err := os.Chtimes(file, when, when); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestSweep(t *testing.T) {
	logger := slog.New(slog.DiscardHandler)
	t.Run("deletes what no user has", func(t *testing.T) {
		c := sweepConfig(t)
		ours, before, orphan := writeOldPicture(t, c, "a"), writeOldPicture(t, c, "b"), writeOldPicture(t, c, "c")
		for _, stored := range []string{"/avatars/" + ours, "https://before.example.com/avatars/" + before, ""} {
			insertUser(t, c.MySQLDSN, stored)
		}
		if swept, err := Sweep(t.Context(), c, true, logger); err != nil || swept.Removed != 1 {
			t.Fatalf("dry run: %+v, %v", swept, err)
		}
		if swept, err := Sweep(t.Context(), c, false, logger); err != nil || swept.Files != 3 || swept.Removed != 1 {
			t.Fatalf("%+v, %v", swept, err)
		}
		if _, err := os.Stat(filepath.Join(c.Avatars.Dir, orphan)); !os.IsNotExist(err) {
			t.Errorf("the orphan: %v", err)
		}
	})
	t.Run("deletes nothing by a database without users", func(t *testing.T) {
		c := sweepConfig(t)
		name := writeOldPicture(t, c, "a")
		if swept, err := Sweep(t.Context(), c, false, logger); err == nil || swept.Files != 0 {
			t.Errorf("%+v, %v", swept, err)
		}
		if _, err := os.Stat(filepath.Join(c.Avatars.Dir, name)); err != nil {
			t.Error(err)
		}
	})
	t.Run("deletes nothing without the database", func(t *testing.T) {
		c := sweepConfig(t)
		c.MySQLDSN = "root@tcp(127.0.0.1:1)/wxlogin"
		name := writeOldPicture(t, c, "a")
		if _, err := Sweep(t.Context(), c, false, logger); err == nil {
			t.Error("no error")
		}
		if _, err := os.Stat(filepath.Join(c.Avatars.Dir, name)); err != nil {
			t.Error(err)
		}
	})
}

func insertUser(t *testing.T, dsn, avatarURL string) {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, err = db.Exec("INSERT INTO users (avatar_url, created_at, updated_at, last_login_at) VALUES (?, NOW(), NOW(), NOW())", avatarURL)
	if err != nil {
		t.Fatal(err)
	}
}
