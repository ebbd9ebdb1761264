package store

import (
	"errors"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// unavailableNumbers are the server's errors that pass with time, or that an operator mends.
// https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html, https://mariadb.com/kb/en/mariadb-error-codes/,
// https://docs.pingcap.com/tidb/stable/error-codes
var unavailableNumbers = map[uint16]bool{
	1016: true, // table's file cannot be opened
	1021: true, // disk full
	1026: true, // error writing a file, such as a full disk
	1030: true, // error of the storage engine
	1037: true, // out of memory
	1038: true, // out of sort memory
	1040: true, // too many connections
	1041: true, // out of resources
	1042: true, // the client's host name cannot be had
	1043: true, // handshake failed
	1046: true, // no database selected: a proxy has lost it
	1047: true, // Galera: the node is not part of the cluster now
	1053: true, // server shutdown in progress
	1077: true, // server shutdown
	1079: true, // server shutdown complete
	1080: true, // server shutdown closes the connection
	1114: true, // table or disk full
	1129: true, // host is blocked because of many connection errors
	1135: true, // no thread for the connection
	1152: true, // aborted connection
	1158: true, // error reading communication packets
	1159: true, // time-out reading communication packets
	1160: true, // error writing communication packets
	1161: true, // time-out writing communication packets
	1184: true, // aborted connection
	1194: true, // table is marked as crashed
	1195: true, // table is marked as crashed, and its repair failed
	1203: true, // max_user_connections
	1206: true, // lock table full
	1226: true, // user resource limit
	1297: true, // temporary error of the storage engine
	1317: true, // query interrupted
	1429: true, // connection to a foreign data source failed, as of MariaDB's Spider
	1637: true, // too many concurrent transactions
	1815: true, // internal error: of InnoDB, or of a shard behind Vitess
	1927: true, // MariaDB: connection was killed
	1969: true, // MariaDB: max_statement_time exceeded
	2002: true, // a proxy cannot connect to the server
	2003: true, // a proxy cannot connect to the server
	2006: true, // a proxy has lost the server
	2013: true, // a proxy has lost the server during the statement
	3024: true, // MySQL: max_execution_time exceeded
	3032: true, // MySQL: server is in offline mode
	3100: true, // MySQL: group replication refused the commit
	3168: true, // MySQL: server is not ready
	3169: true, // MySQL: session was killed
	4031: true, // MySQL: idle connection was closed
	8027: true, // TiDB: information schema is out of date
	8229: true, // TiDB: transaction was aborted after a lost connection
	9001: true, // TiDB: placement driver time-out; ProxySQL: no connection to a server
	9002: true, // TiDB: storage time-out
	9003: true, // TiDB: storage busy
	9004: true, // TiDB: resolve-lock time-out
	9005: true, // TiDB: region unavailable
}

var deadlockNumbers = map[uint16]bool{
	1020: true, // MariaDB with innodb_snapshot_isolation: record has changed since last read
	1205: true, // lock wait time-out, see lockWait
	1213: true, // deadlock
	1412: true, // the table was altered meanwhile
	3101: true, // MySQL: group replication met a conflict at the commit and rolled back
	8002: true, // TiDB: FOR UPDATE met a conflict at its commit
	8022: true, // TiDB: commit failed and was rolled back
	8028: true, // TiDB: the schema has changed meanwhile
	9007: true, // TiDB: write conflict
	9008: true, // TiDB: write conflict of a statement
}

var duplicateNumbers = map[uint16]bool{1062: true}

// missingNumbers are the errors of a database that is to be migrated, or whose tables were changed by hand.
var missingNumbers = map[uint16]bool{
	1054: true, // unknown column
	1146: true, // no such table
	1932: true, // no such table in the storage engine
}

// noSuchTable is the server's error for a table that is not there.
var noSuchTable = map[uint16]bool{1146: true}

// Errors by which servers refuse the account, the database, a right, a setting of the DSN, or writes: see refusalOf.
var (
	accessDeniedNumbers = map[uint16]bool{
		1045: true, // wrong user name, password or host
		1130: true, // no account may come from this host
		1251: true, // the client lacks the account's way to authenticate
		1275: true, // the account has a password of the old format
		1524: true, // the account's authentication plugin is not loaded
		1698: true, // the account does not take passwords
		1820: true, // the password must be changed first
		1862: true, // the password has expired
		3118: true, // MySQL: account is locked
		3955: true, // MySQL: account is locked after failed logins
		4151: true, // MariaDB: account is locked
	}
	unknownDatabaseNumbers = map[uint16]bool{1049: true}
	noRightsNumbers        = map[uint16]bool{
		1044: true, // on the database
		1142: true, // on a table
		1143: true, // on a column
		1227: true, // of the server
		1370: true, // on a routine
	}
	settingNumbers = map[uint16]bool{
		1064: true, // syntax
		1115: true, // unknown character set
		1193: true, // unknown system variable
		1231: true, // wrong value of a system variable
		1232: true, // wrong type of a system variable's value
		1238: true, // system variable that cannot be set
		1273: true, // unknown collation
		1298: true, // unknown time zone
	}
	readOnlyNumbers = map[uint16]bool{
		1015: true, // MySQL: rows cannot be locked, with innodb_read_only
		1036: true, // table is read only, with innodb_read_only
		1290: true, // --read-only, --super-read-only
		1792: true, // read-only transaction
		1836: true, // read-only mode
		1874: true, // InnoDB is in read-only mode
		3989: true, // MySQL: database is in read-only mode
	}
	tlsNumbers = map[uint16]bool{3159: true} // MySQL: connections without TLS are refused
)

// notPreparedNumbers are the errors by which a server or proxy refuses to prepare a statement, or to run one that was prepared.
// None of them comes of a statement that was executed.
var notPreparedNumbers = map[uint16]bool{
	1047: true, // unknown command: a proxy without prepared statements
	1210: true, // wrong arguments: a proxy has another statement of that number
	1235: true, // not supported
	1243: true, // unknown prepared statement: a proxy or pooler has lost it
	1295: true, // statement cannot be prepared
	1461: true, // max_prepared_stmt_count reached
	1615: true, // statement needs to be prepared again
}

// Texts of errors that servers give under a number that has no meaning of its own.
const (
	lockRetryLimit   = "pessimistic lock retry limit reached"  // TiDB, 1105
	lockWaitTimeout  = "lock wait timeout"                     // TiDB, 1105, if it met a write conflict while it waited
	missingColumn    = "does not have column"                  // embedded engine, 1105
	lostPreparedStmt = "statement ID is not found from record" // Vitess and the embedded engine, 2014
)

// plainNumbers are the server's errors whose texts hold no values.
var plainNumbers = map[uint16]bool{
	1036: true, // table is read only
	1040: true, // too many connections
	1044: true, // access denied to database
	1045: true, // access denied for user
	1049: true, // unknown database
	1053: true, // server shutdown in progress
	1054: true, // unknown column
	1115: true, // unknown character set
	1130: true, // host is not allowed
	1142: true, // command denied on table
	1143: true, // command denied on column
	1146: true, // no such table
	1193: true, // unknown system variable
	1203: true, // max_user_connections
	1205: true, // lock wait time-out
	1213: true, // deadlock
	1231: true, // wrong value of a system variable
	1238: true, // system variable that cannot be set
	1251: true, // authentication not supported
	1273: true, // unknown collation
	1290: true, // --read-only
	1298: true, // unknown time zone
	1461: true, // max_prepared_stmt_count reached
	1698: true, // access denied for user
	1836: true, // read-only mode
	3118: true, // account is locked
	3159: true, // connections without TLS are refused
	3955: true, // account is locked
	4151: true, // account is locked
}

func hasNumber(err error, numbers map[uint16]bool) bool {
	var answer *mysql.MySQLError
	return errors.As(err, &answer) && numbers[answer.Number]
}

// hasText reports whether err is an error of the server with this text in it.
func hasText(err error, text string) bool {
	var answer *mysql.MySQLError
	return errors.As(err, &answer) && strings.Contains(answer.Message, text)
}
