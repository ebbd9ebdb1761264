// Package session keeps login sessions of WeChat mini-program users in Redis under opaque tokens.
//
//	token ──SHA-256──▶ wxlogin:session:<hash>         sealed record: appid, openid, session_key, created
//	                   wxlogin:sessions:<appid>:<openid>  sorted set of that user's hashes, oldest first
//
// A token is 32 random bytes in base64url and says nothing. Redis holds only its SHA-256, and the record is sealed
// with AES-256-GCM under a key derived from the app's AppSecret, with the hash as additional data: whoever reads
// Redis gets neither a token nor a session_key, and whoever writes it cannot move a record to another token.
//
// A session ends after Options.IdleTTL without use, after Options.MaxTTL in any case, when it is revoked, or when its
// user has begun Options.MaxPerUser newer ones. Every key that the package writes expires by itself.
//
// The sorted set is also the key ring: Store.OtherSessionKeys gives the session_keys of the user's other sessions, for
// data that WeChat encrypted under another login's key than the one the token stands for.
//
// It needs Redis 6.2 or later (GETEX), alone, behind Sentinel or as a Cluster: no command spans two keys.
// It imports nothing else of this module and may be used alone.
package session
