// Command wxfaults shows on real processes that the login server loses nothing, and lets nobody see another's data, while
// its parts stop, die, hang and come back:
//
//	go run ./cmd/wxfaults              about three minutes; the seed is printed, and -seed repeats a plan
//	go run ./cmd/wxfaults overload     how the server refuses three times the logins that it can sustain
//
// It starts a MariaDB, a Redis, the WeChat simulator and two servers of its own, on free loopback ports and in a temporary
// folder, and leaves nothing behind. Phones log in and send profiles all the time, while one fault after the other is
// committed. What the servers answered is then held against the contract, the database and the servers' logs.
//
// Exit codes: 0 passed, 1 failed, 2 wrong command line or something to run it with is missing.
package main
