package testenv

import (
	"testing"

	"wxlogin"
	"wxlogin/store"
)

// MySQLWithSchema is MySQL with the tables of schema.sql in it.
func MySQLWithSchema(t testing.TB) (dsn string) {
	t.Helper()
	dsn = MySQL(t)
	db, err := store.Open(dsn, store.Options{})
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	defer db.Close()
	if err := db.Migrate(t.Context(), wxlogin.Schema); err != nil {
		t.Fatalf("testenv: %v", err)
	}
	return dsn
}
