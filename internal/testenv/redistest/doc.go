// Package redistest starts real Redis servers: one, a Cluster, or a master with Sentinels. They keep nothing on disk, listen
// on loopback, and are there to be killed. The commands redis-server and redis-cli must be installed.
//
// Tests call Run…, which ends the servers with the test and skips it where the commands are not there. The command
// rediscluster, for shells, calls Start… and finds the Cluster again by its folder.
package redistest
