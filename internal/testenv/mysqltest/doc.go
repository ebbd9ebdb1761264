// Package mysqltest gives each test a MySQL database of its own.
//
// By default it is embedded: the engine of package embedded, one for all tests of a process. An environment variable
// puts a real server in its place:
//
//	TEST_MYSQL_DSN=root@tcp(127.0.0.1:3306)/    MySQL or MariaDB, a user who may create databases
//
// Servers that a test starts for itself are MariaDB, or MySQL:
//
//	TEST_MYSQLD=/usr/sbin/mysqld                the program of Oracle's MySQL
//
// The server of TEST_MYSQL_DSN may be shared, with other test processes too. A test gets a database with a random name, which is
// dropped at its end; a run that is killed leaves its databases (wxlogin_test_…) behind.
package mysqltest
