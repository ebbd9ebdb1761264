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
// user has more than Options.MaxPerUser and uses others. Every key that the package writes expires by itself.
//
// # The cap
//
// The index knows when sessions began, not when they were used. That is asked of the records if the index has more than
// Options.MaxPerUser members: a use sets a record's expiry to Options.IdleTTL, so the record with the least time left is the
// least recently used one. It costs a command for each member, so several sessions end at once. See [Options.MaxPerUser].
//
// # Revoking
//
// Store.Revoke ends one session by its token, Store.RevokeAll all that a user has in an app. Both may be repeated and may
// run beside anything else. A record is written before it is in the index and deleted before it leaves it, so whatever
// fails in between, no session that anybody has the token of is out of RevokeAll's reach. There are two exceptions: a
// sorted set that was deleted or overwritten by others, and MaxTTL raised later, which lets older sessions outlive their
// set. To be sure of the session at hand, call Revoke for its token after RevokeAll.
//
// # Another AppSecret
//
// After a change of the AppSecret, give the old one as App.PreviousSecret: new records are sealed under the new one alone,
// and records sealed under the old one still open. They are not sealed anew on use, which would cost a write and a race,
// for nothing: no session lives longer than MaxTTL, and once that has passed since the change, the old secret may go.
// Sessions sealed under a secret that the Store does not know are a miss, and their users log in again. Change all
// processes quickly: one that knows only the old secret does not know the sessions that the others begin.
//
// # What others wrote
//
// What stands in Redis in the place of a record, and is none of ours (another type, version or length, sealed under an
// unknown secret, altered or moved), counts as nothing: Lookup does not find it, the key ring passes it over, Revoke
// deletes it. What stands in the place of an index and is no sorted set counts as an empty one, and is deleted by the
// next Create, so that its user is not locked out; sessions begun before then end on their own or by Revoke, because
// RevokeAll no longer finds them. An index's members that name no record, or another user's, are passed over.
//
// Each of these kinds is logged at level Warn on Options.Logger, without any value, the first time that a Store meets it:
// once a kind and process, where a process has one Store. A missing key is no such thing and is not logged.
//
// # The key ring
//
// The sorted set is also the key ring: Store.OtherSessionKeys gives the session_keys of the user's other sessions, for
// data that WeChat encrypted under another login's key than the one the token stands for.
//
// # Redis
//
// It needs Redis 6.2 or later (GETEX), alone, behind Sentinel or as a Cluster. No command and no script has two keys, so it
// also works through proxies that spread keys over several nodes. Such a proxy does not keep the order of commands to different
// nodes: a session that begins in the same instant as a RevokeAll of its user may then stay alive and be in no index. A
// ClusterClient
// notices the death of a master only when it looks at the Cluster's state again: give it a ClusterStateReloadInterval of
// some seconds (go-redis's default is a minute), and never one of the options that read from replicas, for a session must be
// found by whoever has just been given its token.
// It imports nothing else of this module and may be used alone.
package session
