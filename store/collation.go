package store

import (
	"context"
	"io"
	"io/fs"
	"path"
	"strings"
)

const (
	// collation is what schema.sql and the steps name. All text of the tables has it.
	collation = "utf8mb4_unicode_520_ci"
	// tidbCollation takes its place on servers that do not know it, such as TiDB. MariaDB 10.11 does not know this one.
	tidbCollation = "utf8mb4_0900_ai_ci"
)

// collationOf returns the collation that tables get on this server.
func collationOf(ctx context.Context, db rowQueryer) (string, error) {
	const query = "SELECT COUNT(*) FROM information_schema.collations WHERE collation_name = '" + collation + "'"
	var known int
	if err := db.QueryRowContext(ctx, query).Scan(&known); err != nil {
		return "", err
	}
	if known == 0 {
		return tidbCollation, nil
	}
	return collation, nil
}

// withCollation returns SQL that names collation with another one instead.
func withCollation(text, other string) string { return strings.ReplaceAll(text, collation, other) }

// collatedSteps are the files of the steps, with a collation.
type collatedSteps struct {
	fs.FS
	collation string
}

// Open implements fs.FS.
func (s collatedSteps) Open(name string) (fs.File, error) {
	file, err := s.FS.Open(name)
	if err != nil || path.Ext(name) != ".sql" {
		return file, err
	}
	text, err := io.ReadAll(file)
	return collatedFile{file, strings.NewReader(withCollation(string(text), s.collation))}, err
}

type collatedFile struct {
	fs.File
	text *strings.Reader
}

// Read implements fs.File.
func (f collatedFile) Read(p []byte) (int, error) { return f.text.Read(p) }
