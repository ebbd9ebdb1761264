// Package testenv gives each test a Redis database of its own, a clock that the test moves, a log that it reads, and a CA.
//
// By default Redis is a miniredis for each test. An environment variable puts a real server in its place:
//
//	TEST_REDIS_URL=redis://127.0.0.1:6379/      Redis; with a number at the end, that logical database alone
//	TEST_REDIS_MODE=cluster                     it is a Cluster: redis://node1:6379?addr=node2:6379
//	TEST_REDIS_USER=user:password               whom Redis.NewClient is to be, as the server is in production
//
// The server may be shared, with other test processes too. A test locks one of the logical databases 1 to 15 by a key in
// database 0 and empties it at its end. A database that is not empty is left alone, except for what a killed test left
// there: a second key in database 0 tells that, for a day. Tests wait for each other when all are taken; when none can be
// had because of the keys in them, the test fails and says so.
//
// A Cluster has one database only. One test process at a time has it for itself, by the same two keys, which no test gets to
// see. A test that asks for it a second time gets it as it is.
//
// Time is moved by Redis.FastForward, never by sleeping.
//
// MySQL is in package mysqltest: its embedded engine makes a test binary so large that fuzzing crawls.
package testenv
