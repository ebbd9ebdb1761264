// Command wxbench measures what a request costs wxlogin, against a bare handler (cmd/wxbench/bare) that does the same with
// nothing around it. Both are processes of their own, on the same MySQL, Redis and simulator of WeChat, and are driven in
// turns.
//
//	go run ./cmd/wxbench
//
// It needs Linux, a MySQL or MariaDB server and a Redis server of its own, both idle otherwise: -mysql (or TEST_MYSQL_DSN)
// and -redis (or TEST_REDIS_URL) say where. In MySQL it makes a database and drops it in the end; of Redis it wants an empty
// database, and empties it in the end.
//
// # What is measured
//
// A kind of request at a time, in rounds: so many requests of -connections connections, each of which sends its next request
// when the last one is answered. Codes and encrypted profiles are made before a round begins.
//
//	returning   POST /onLogin of somebody who was here before
//	new         POST /onLogin of somebody who was not
//	capped      POST /onLogin of a user at the cap of sessions
//	changed     POST /updateUserInfo with a profile that is news
//	unchanged   POST /updateUserInfo with the profile that the server has
//	introspect  POST /introspect on the internal listener
//
// For each: requests a second, p50 and p99 in milliseconds, and for a request the CPU time in microseconds of the server, of
// MySQL and of Redis, allocations and bytes of the server's heap, statements that MySQL got and commands that Redis got.
// MySQL's CPU time is told where its process is on this machine. The table shows medians over the rounds; the ratio is the
// median over the ratios of each round's pair, so that what disturbs the machine for a while disturbs both.
//
// wxlogin runs as in production, with its limits, log and metrics on. The requests of a round come from as many addresses
// (X-Forwarded-For).
//
// -latency is how long WeChat takes (80 ms is usual) and -pause how long a connection waits before its next request: so
//
//	go run ./cmd/wxbench -alone -kinds returning -latency 80ms -connections 2000 -pause 1s
//
// plays 2,000 mini-programs at once. wxlogin's connections to WeChat, its memory and its goroutines stand above the table.
//
// With -growth it measures a returning login alone, without the bare handler, with more and more users in MySQL.
package main
