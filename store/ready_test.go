package store_test

import (
	"errors"
	"testing"

	"wxlogin"
	"wxlogin/internal/testenv/mysqltest"
	"wxlogin/store"
)

func TestDB_Ready(t *testing.T) {
	db, err := store.Open(mysqltest.New(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Ready(t.Context()); err == nil || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("without tables: %v", err)
	}
	if err := db.Migrate(t.Context(), wxlogin.Schema); err != nil {
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
