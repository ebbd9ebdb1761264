package store_test

import (
	"errors"
	"strings"
	"testing"

	"wxlogin/internal/testenv/mysqltest"
	"wxlogin/store"
)

func TestDB_Ready_and_versions(t *testing.T) {
	t.Run("first_version", func(t *testing.T) {
		f := newFirstVersion(t)
		err := f.db.Ready(t.Context())
		if !errors.Is(err, store.ErrSchema) || errors.Is(err, store.ErrUnavailable) ||
			!strings.Contains(err.Error(), "run: wxlogin migrate") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("later_version", func(t *testing.T) {
		f := newFixture(t)
		f.exec("INSERT INTO schema_versions (version_id, is_applied) VALUES (99, 1)")
		if err := f.db.Ready(t.Context()); err != nil {
			t.Errorf("a server must go on while the next one's step is taken: %v", err)
		}
	})
	t.Run("version_on_record_but_columns_gone", func(t *testing.T) {
		f := newFixture(t)
		f.exec("ALTER TABLE users DROP COLUMN language")
		if err := f.db.Ready(t.Context()); !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrSchema) {
			t.Errorf("error %v", err)
		}
	})
}

func TestDB_Ready(t *testing.T) {
	db, err := store.Open(mysqltest.New(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Ready(t.Context()); err == nil || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("without tables: %v", err)
	}
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := db.Ready(t.Context()); err != nil {
		t.Errorf("with tables: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Ready(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("closed: %v", err)
	}
}
