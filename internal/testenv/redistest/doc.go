// Package redistest starts real Redis servers: a single one, a Cluster, or a master with Sentinels. They store nothing
// on disk, listen on loopback, and may be killed. The commands redis-server and redis-cli must be installed.
//
// Tests call the Run functions, which stop the servers when the test ends, and skip the test if the commands are not
// installed. The command rediscluster, for shell scripts, calls StartCluster and finds the Cluster again by its folder.
package redistest
