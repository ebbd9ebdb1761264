// Package mysqltest gives each test a MySQL database of its own.
//
// By default the database is on the embedded engine of package embedded, one for all tests of a process. An environment
// variable replaces it by a real server:
//
//	TEST_MYSQL_DSN=root@tcp(127.0.0.1:3306)/    MySQL or MariaDB, a user who may create databases
//
// Servers that a test starts itself (RunServer) are MariaDB, or MySQL:
//
//	TEST_MYSQLD=/usr/sbin/mysqld                the program of Oracle's MySQL
//
// The server of TEST_MYSQL_DSN may be shared, even with other test processes. A test gets a database with a random
// name, which is dropped when the test ends. If a run is killed, its databases (wxlogin_test_…) are left behind.
package mysqltest
