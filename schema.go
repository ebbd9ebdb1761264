// Package wxlogin holds the database schema of the login server, for whoever has to apply it: `wxlogin migrate`,
// the demo and the tests.
package wxlogin

import _ "embed"

// Schema is schema.sql: several statements, each ended by a semicolon. Running it again changes nothing and loses
// nothing. It names no database: it applies to the one that the connection is in.
//
//go:embed schema.sql
var Schema string
