// Package embedded runs MySQL and Redis inside the process, for the demo and for tests: nothing to install, nothing
// on disk, gone at the end. The server does not link it.
//
//	StartMySQL   go-mysql-server with its in-memory storage, on a loopback port, behind the gate
//	StartRedis   miniredis on a loopback port, with keys that expire as time passes
//
// Both speak the real protocols: the ordinary mysql, mariadb and redis-cli clients can connect. Neither asks for a
// password (MySQL takes any user, root by custom), so both refuse to listen on anything but loopback.
//
// # The gate
//
// The in-memory storage has no isolation: of two connections that write at once, one loses what it wrote. So one
// connection is let in at a time:
//
//	statement outside a transaction    inside from its start to its end
//	BEGIN … COMMIT or ROLLBACK         inside all the time; with autocommit = 0, from the first statement
//	anything else                      waits, in the order of arrival
//
// Whoever is inside and sends nothing for MySQLOptions.TransactionIdle, or does not read its rows for so long, loses
// its connection, and its transaction is rolled back. Whoever hangs up while waiting is not waited for; whoever
// hangs up during a statement cancels it. Isolation is therefore perfect and concurrency nil: good for a look and
// for tests of correctness, useless for measuring load.
//
// Two habits of a real server do harm here. A program that holds a transaction and queries over a second connection
// waits for itself, until the transaction is thrown out as idle. And a connection with autocommit = 0 that is left
// alone after any statement, SELECT included, is thrown out as well.
//
// The gate also repairs what the engine gets wrong around it: a statement that fails outside a transaction does not
// leave the connection with old copies of the tables; CREATE TABLE inside BEGIN does not leave autocommit off; a
// script of several statements stops at the first that fails, may hold CREATE VIEW anywhere, and may end with
// comments.
//
// # What this MySQL cannot do
//
//   - Savepoints: SAVEPOINT is an error. With GORM, set DisableNestedTransaction.
//   - Foreign keys: not to be relied on. Simple ones are kept, others are refused.
//   - Locks: FOR UPDATE does nothing, as nobody else is there; deadlocks and lock time-outs do not occur. GET_LOCK
//     held by one connection makes another wait inside the gate, and so keeps its owner out.
//   - KILL and SHOW PROCESSLIST wait for the gate like everything else.
//   - Error numbers: only some are MySQL's (1062 duplicate key, 1146 no such table, 1049 no such database). Most
//     others are 1105: faulty syntax (MySQL: 1064), no such column (1054), text too long for its column (1406).
//     The SQLSTATE is always HY000, and the texts are its own.
//   - An ascii column takes text that is not ASCII.
//   - Comparisons do not ignore blanks at the end, whatever the collation says.
//   - UTC_TIMESTAMP(3) answers microseconds; write times from the program.
//   - EXPLAIN answers values that the Go driver cannot read in the text protocol.
//   - Accounts and grants, replication, events, everything on disk. Compression and TLS are not offered.
//
// It calls itself MySQL 8.0. Its clock is the process's, its time zone the machine's, unless SET time_zone says
// otherwise.
//
// # What this Redis cannot do
//
// It is one node: no cluster, no persistence, no memory limit. FastForward shortens what keys have left but does not
// move the clock that TIME and EXPIREAT see.
//
// # Side effects
//
// The engine logs through the standard logger of logrus; StartMySQL turns that logger off for the whole process.
package embedded
