package store_test

import (
	"errors"
	"strings"
	"testing"

	"wxlogin/internal/testenv/mysqltest"
	"wxlogin/store"
)

func TestDB_CheckCharset(t *testing.T) {
	dsn := mysqltest.New(t)
	with := func(param string) string {
		if strings.Contains(dsn, "?") {
			return dsn + "&" + param
		}
		return dsn + "?" + param
	}
	for _, tt := range []struct {
		name, dsn string
		good      bool
	}{
		{"as_the_driver_has_it", dsn, true},
		{"utf8mb4", with("charset=utf8mb4"), true},
		{"utf8mb4_with_collation", with("collation=utf8mb4_unicode_ci"), true},
		{"latin1", with("charset=latin1"), false},
		{"utf8mb3", with("charset=utf8mb3"), false},
		{"results_only", with("character_set_results=latin1"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			db, err := store.Open(tt.dsn, store.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			err = db.CheckCharset(t.Context())
			if tt.good && err != nil || !tt.good && !errors.Is(err, store.ErrCharset) {
				t.Errorf("error %v, good is to be %v", err, tt.good)
			}
		})
	}
}
