// Package testenv gives each test a MySQL and a Redis database of its own.
//
// By default they are embedded: the engine of package embedded, one for all tests of a process, and a miniredis for
// each test. Two environment variables put real servers in their place:
//
//	TEST_MYSQL_DSN=root@tcp(127.0.0.1:3306)/    MySQL or MariaDB, a user who may create databases
//	TEST_REDIS_URL=redis://127.0.0.1:6379/      Redis; with a number at the end, that logical database alone
//
// The servers may be shared, with other test processes too. On MySQL a test gets a database with a random name,
// which is dropped at its end; a run that is killed leaves its databases (wxlogin_test_…) behind.
//
// On Redis a test locks one of the logical databases 1 to 15 by a key in database 0 and empties it at its end. A
// database that is not empty is left alone, except for what a killed test left there: a second key in database 0
// tells that, for a day. Tests wait for each other when all are taken; when none can be had because of the keys in
// them, the test fails and says so.
//
// Time is moved by Redis.FastForward, never by sleeping.
package testenv
