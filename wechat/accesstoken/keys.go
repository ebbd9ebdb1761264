package accesstoken

// keyPrefix begins every key that this package writes. An appid has no colon.
const keyPrefix = "wxlogin:access_token:"

// tokenKey is where the sealed token stands.
func tokenKey(appID string) string { return keyPrefix + appID }

// lockKey is held by the instance that asks WeChat.
func lockKey(appID string) string { return keyPrefix + appID + ":lock" }

// forcedKey is there while no refresh may be forced.
func forcedKey(appID string) string { return keyPrefix + appID + ":forced" }
