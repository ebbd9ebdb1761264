package mysqltest

import (
	"testing"

	"wxlogin/store"
)

// NewWithSchema is New with all tables in it, of the newest version.
func NewWithSchema(t testing.TB) (dsn string) {
	t.Helper()
	dsn = New(t)
	db, err := store.Open(dsn, store.Options{})
	if err != nil {
		t.Fatalf("mysqltest: %v", err)
	}
	defer db.Close()
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatalf("mysqltest: %v", err)
	}
	return dsn
}
