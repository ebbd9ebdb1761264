package session

import "strconv"

// KeyPrefix begins every key that this package writes.
const KeyPrefix = "wxlogin:"

// recordKey is where the sealed record of one session stands.
func recordKey(hash string) string { return KeyPrefix + "session:" + hash }

// indexKey is where the sorted set of a user's sessions stands: members are token hashes, scores the time of creation
// in microseconds. An appid has no colon, so two users never share a key.
func indexKey(appID, openID string) string { return KeyPrefix + "sessions:" + appID + ":" + openID }

// The two kinds of keys that Ready writes.
const (
	readyRecord = "record"
	readyIndex  = "index"
)

// readyKey is where Ready of the Store id writes. Keys with the same number n are in one slot of a Cluster, those with
// another mostly in another.
func readyKey(id string, n int, kind string) string {
	return KeyPrefix + "ready:{" + id + ":" + strconv.Itoa(n) + "}:" + kind
}
