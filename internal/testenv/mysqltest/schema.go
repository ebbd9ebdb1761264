package mysqltest

import (
	"testing"

	"wxlogin"
	"wxlogin/store"
)

// NewWithSchema is New with the tables of schema.sql in it.
func NewWithSchema(t testing.TB) (dsn string) {
	t.Helper()
	dsn = New(t)
	db, err := store.Open(dsn, store.Options{})
	if err != nil {
		t.Fatalf("mysqltest: %v", err)
	}
	defer db.Close()
	if err := db.Migrate(t.Context(), wxlogin.Schema); err != nil {
		t.Fatalf("mysqltest: %v", err)
	}
	return dsn
}
