// Package wxlogin holds the whole database schema of the login server as one script, to read and to create an empty
// database without `wxlogin migrate`.
package wxlogin

import _ "embed"

// Schema is schema.sql: several statements, each ended by a semicolon. In an empty database it makes everything, and
// records the version for `wxlogin migrate`. Running it again changes nothing and loses nothing. On the tables of an earlier
// version it ends with an error: only migrate upgrades. It names no database: it applies to the one that the connection is
// in.
//
//go:embed schema.sql
var Schema string
