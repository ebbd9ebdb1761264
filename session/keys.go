package session

// KeyPrefix begins every key that this package writes.
const KeyPrefix = "wxlogin:"

// recordKey is where the sealed record of one session stands.
func recordKey(hash string) string { return KeyPrefix + "session:" + hash }

// indexKey is where the sorted set of a user's sessions stands: members are token hashes, scores the time of creation
// in microseconds. An appid has no colon, so two users never share a key.
func indexKey(appID, openID string) string { return KeyPrefix + "sessions:" + appID + ":" + openID }
