// Package testenv provides fixtures for tests: a Redis database of the test's own, a clock that the test moves, a log
// that it can read, a CA, and free addresses.
//
// By default each test gets a miniredis. Environment variables replace it by a real server:
//
//	TEST_REDIS_URL=redis://127.0.0.1:6379/      Redis; if the URL names a logical database, only that one
//	TEST_REDIS_MODE=cluster                     it is a Cluster: redis://node1:6379?addr=node2:6379
//	TEST_REDIS_USER=user:password               the user of Redis.NewClient, like the server's in production
//
// The server may be shared, even with other test processes. A test leases one of the logical databases 1 to 15 by a
// lock key in database 0, and empties it when it ends. A database that is not empty is left alone, unless its keys were
// left behind by a killed test: a second key in database 0 records that for a day. If all databases are in use, tests
// wait. If none is usable because of foreign keys, the test fails and reports that.
//
// A Cluster has only one database. One test process at a time leases it, by the same two keys, which are hidden from
// tests. If a test of that process asks for the Cluster while another one has it, both use it, and it is not emptied in
// between.
//
// Time is moved by Redis.FastForward, never by sleeping.
//
// MySQL is in package mysqltest, because its embedded engine makes test binaries so large that fuzzing becomes slow.
package testenv
