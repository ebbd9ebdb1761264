package store

import (
	"errors"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// class is what an error number of the server means to this package. A number may have several classes.
type class uint16

const (
	unavailable  class = 1 << iota // it ends with time, or an operator fixes it
	conflict                       // the server undid the statement or transaction in favour of another one
	duplicateKey                   // a row with this key exists already
	missing                        // the database must be migrated, or its tables were changed by hand
	accessDenied                   // these five and readOnly are kinds of ErrUnavailable
	unknownDatabase
	noRight
	badSetting // only while connecting
	noTLS
	readOnly
	notPrepared // a statement cannot be prepared, or executed as prepared; it was not executed
)

// errno is an error number of the server: its class, and its meaning in words that replace the server's own text.
type errno struct {
	class   class
	meaning string
}

// errnos are the known error numbers. https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html,
// https://mariadb.com/kb/en/mariadb-error-codes/, https://docs.pingcap.com/tidb/stable/error-codes
var errnos = map[uint16]errno{
	1016: {unavailable, "a table's file cannot be opened"},
	1021: {unavailable, "disk full"},
	1026: {unavailable, "error writing a file"},
	1030: {unavailable, "error of the storage engine"},
	1037: {unavailable, "out of memory"},
	1038: {unavailable, "out of sort memory"},
	1040: {unavailable, "too many connections"},
	1041: {unavailable, "out of resources"},
	1042: {unavailable, "the client's host name cannot be resolved"},
	1043: {unavailable, "handshake failed"},
	1046: {unavailable, "no database selected: a proxy has lost it"},
	1047: {unavailable | notPrepared, "the Galera node is not part of the cluster now, or a proxy does not know the command"},
	1053: {unavailable, "server shutdown in progress"},
	1077: {unavailable, "server shutdown"},
	1079: {unavailable, "server shutdown complete"},
	1080: {unavailable, "server shutdown closes the connection"},
	1114: {unavailable, "table or disk full"},
	1129: {unavailable, "this host is blocked because of many connection errors"},
	1135: {unavailable, "no thread for the connection"},
	1152: {unavailable, "aborted connection"},
	1158: {unavailable, "error reading packets"},
	1159: {unavailable, "time-out reading packets"},
	1160: {unavailable, "error writing packets"},
	1161: {unavailable, "time-out writing packets"},
	1184: {unavailable, "aborted connection"},
	1194: {unavailable, "a table is marked as crashed"},
	1195: {unavailable, "a table is marked as crashed, and its repair failed"},
	1203: {unavailable, "max_user_connections reached"},
	1206: {unavailable, "lock table full"},
	1226: {unavailable, "a resource limit of the account is reached"},
	1297: {unavailable, "temporary error of the storage engine"},
	1317: {unavailable, "statement interrupted"},
	1429: {unavailable, "connection to a foreign data source failed"}, // e.g. of MariaDB's Spider
	1637: {unavailable, "too many concurrent transactions"},
	1815: {unavailable, "internal error of the server"}, // of InnoDB, or of a shard behind Vitess
	1927: {unavailable, "connection was killed"},        // MariaDB
	1969: {unavailable, "max_statement_time exceeded"},  // MariaDB
	2002: {unavailable, "a proxy cannot connect to the server"},
	2003: {unavailable, "a proxy cannot connect to the server"},
	2006: {unavailable, "a proxy has lost the server"},
	2013: {unavailable, "a proxy has lost the server during the statement"},
	3024: {unavailable, "max_execution_time exceeded"},                 // MySQL
	3032: {unavailable, "server is in offline mode"},                   // MySQL
	3100: {unavailable, "group replication refused the commit"},        // MySQL
	3168: {unavailable, "server is not ready"},                         // MySQL
	3169: {unavailable, "session was killed"},                          // MySQL
	4031: {unavailable, "idle connection was closed"},                  // MySQL
	8027: {unavailable, "information schema is out of date"},           // TiDB
	8229: {unavailable, "transaction aborted after a lost connection"}, // TiDB
	9001: {unavailable, "placement driver time-out, or a proxy's"},     // TiDB, ProxySQL
	9002: {unavailable, "storage time-out"},                            // TiDB
	9003: {unavailable, "storage busy"},                                // TiDB
	9004: {unavailable, "resolve-lock time-out"},                       // TiDB
	9005: {unavailable, "region unavailable"},                          // TiDB

	1020: {conflict, "record has changed since last read"}, // MariaDB with innodb_snapshot_isolation
	1205: {conflict, "lock wait time-out"},                 // see lockWait
	1213: {conflict, "deadlock"},
	1412: {conflict, "the table was altered in between"},
	3101: {conflict, "group replication met a conflict at the commit"}, // MySQL
	8002: {conflict, "FOR UPDATE met a conflict at the commit"},        // TiDB
	8022: {conflict, "commit failed and was rolled back"},              // TiDB
	8028: {conflict, "the schema was changed in between"},              // TiDB
	9007: {conflict, "write conflict"},                                 // TiDB
	9008: {conflict, "write conflict of a statement"},                  // TiDB

	1062: {duplicateKey, "duplicate key"},

	1054:        {missing, "unknown column"},
	noSuchTable: {missing, "no such table"},
	1932:        {missing, "no such table in the storage engine"},
	8113:        {missing, "a prepared statement does not fit the tables any more"}, // TiDB

	1045: {accessDenied, "wrong user name, password or host"},
	1130: {accessDenied, "no account may connect from this host"},
	1251: {accessDenied, "the client lacks the account's way to authenticate"},
	1275: {accessDenied, "the account has a password of the old format"},
	1524: {accessDenied, "the account's authentication plugin is not loaded"},
	1698: {accessDenied, "the account does not take passwords"},
	1820: {accessDenied, "the password must be changed first"},
	1862: {accessDenied, "the password has expired"},
	3118: {accessDenied, "the account is locked"},                     // MySQL
	3955: {accessDenied, "the account is locked after failed logins"}, // MySQL
	4151: {accessDenied, "the account is locked"},                     // MariaDB

	1049: {unknownDatabase, "no database of this name"},

	1044: {noRight, "no right on the database"},
	1142: {noRight, "no right on the table"},
	1143: {noRight, "no right on a column"},
	1227: {noRight, "no right on the server"},
	1370: {noRight, "no right on a routine"},

	1064: {badSetting, "syntax error"},
	1115: {badSetting, "unknown character set"},
	1193: {badSetting, "unknown system variable"},
	1231: {badSetting, "wrong value of a system variable"},
	1232: {badSetting, "wrong type of a system variable's value"},
	1238: {badSetting, "system variable cannot be set"},
	1273: {badSetting, "unknown collation"},
	1298: {badSetting, "unknown time zone"},

	3159: {noTLS, "connections without TLS are refused"}, // MySQL

	1015: {readOnly, "rows cannot be locked"}, // MySQL, with innodb_read_only
	1036: {readOnly, "table is read-only"},    // with innodb_read_only
	1290: {readOnly, "an option of the server, such as --read-only, forbids the statement"},
	1792: {readOnly, "read-only transaction"},
	1836: {readOnly, "read-only mode"},
	1874: {readOnly, "InnoDB is in read-only mode"},
	3989: {readOnly, "the database is in read-only mode"}, // MySQL

	1210: {notPrepared, "wrong arguments of a prepared statement"}, // a proxy has another statement under that number
	1235: {notPrepared, "not supported"},
	1243: {notPrepared, "unknown prepared statement"}, // a proxy or pooler has lost it
	1295: {notPrepared, "statement cannot be prepared"},
	1461: {notPrepared, "max_prepared_stmt_count reached"},
	1615: {notPrepared, "statement needs to be prepared again"},
}

const noSuchTable = 1146

// Texts of errors whose number is generic.
const (
	lockRetryLimit   = "pessimistic lock retry limit reached"  // TiDB, 1105
	lockWaitTimeout  = "lock wait timeout"                     // TiDB, 1105, after a write conflict while waiting
	missingColumn    = "does not have column"                  // embedded engine, 1105
	lostPreparedStmt = "statement ID is not found from record" // Vitess and the embedded engine, 2014
	unknownPrepared  = "Unknown prepared statement handler"    // TiDB, 1105
)

// hasClass reports whether err is an error of the server with one of these classes.
func hasClass(err error, classes class) bool {
	var serverErr *mysql.MySQLError
	return errors.As(err, &serverErr) && errnos[serverErr.Number].class&classes != 0
}

// hasErrno reports whether err is an error of the server with this number.
func hasErrno(err error, number uint16) bool {
	var serverErr *mysql.MySQLError
	return errors.As(err, &serverErr) && serverErr.Number == number
}

// hasText reports whether err is an error of the server that contains this text.
func hasText(err error, text string) bool {
	var serverErr *mysql.MySQLError
	return errors.As(err, &serverErr) && strings.Contains(serverErr.Message, text)
}
