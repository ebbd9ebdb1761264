package server

import (
	"database/sql"
	"log/slog"
	"strings"
	"testing"

	"wxlogin/internal/config"
	"wxlogin/internal/testenv/mysqltest"
)

func TestPhoneDigits(t *testing.T) {
	for text, want := range map[string]string{
		"13800138000": "13800138000", "+8613800138000": "8613800138000", "8613800138000": "8613800138000",
		" +86 138-0013-8000 ": "8613800138000", "008613800138000": "8613800138000", "138\u00a00013–8000": "13800138000",
	} {
		if got, ok := PhoneDigits(text); !ok || got != want {
			t.Errorf("%q: %q, %v, want %q", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "+", "00", " - ", "++86", "86+", "138x", "１３８", "138,139"} {
		if got, ok := PhoneDigits(text); ok {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// What manual edits leave behind is shown, or named in an error.
func TestUserAdmin_ManualEdits(t *testing.T) {
	c := config.Users{
		MySQLDSN: mysqltest.NewWithSchema(t),
		Avatars: config.Avatars{
			S3Endpoint: "https://s3.example.com", S3Bucket: "pictures", S3AccessKey: "key", S3SecretKey: "secret",
		},
	}
	picture := "/avatars/" + strings.Repeat("a", 32) + ".jpg"
	insertUser(t, c.MySQLDSN, picture)
	insertUser(t, c.MySQLDSN, "")
	db, err := sql.Open("mysql", c.MySQLDSN)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	show := func(statement string, id uint64) (string, error) {
		t.Helper()
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		err := UserAdmin{Config: c, Out: &out, Logger: slog.New(slog.DiscardHandler)}.Show(t.Context(), id)
		return out.String(), err
	}
	text, err := show("UPDATE users SET status = 9 WHERE id = 1", 1)
	if err != nil || !strings.Contains(text, "invalid") || !strings.Contains(text, " https://s3.example.com/pictures/aaa") {
		t.Errorf("a status of 9: %v, %s", err, text)
	}
	if text, err := show("UPDATE users SET status = 3, merged_into = 3 - id", 1); err == nil || !strings.Contains(err.Error(), "circle") {
		t.Errorf("a circle of merges: %v, %s", err, text)
	}
	if text, err := show("UPDATE users SET status = 3, merged_into = NULL", 1); err != nil || !strings.Contains(text, "merged") {
		t.Errorf("a merged user without a survivor: %v, %s", err, text)
	}
}
