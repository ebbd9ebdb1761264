// Package session keeps login sessions of WeChat mini-program users in Redis under opaque tokens.
//
//	sessions, err := session.New(session.Options{
//		Redis: client,
//		Apps:  []session.App{{AppID: appID, Secret: appSecret}},
//	})
//	...
//	token, err := sessions.Create(ctx, session.Session{AppID: appID, OpenID: openID, SessionKey: sessionKey})
//	sess, err := sessions.Lookup(ctx, token) // ErrNotFound: log in again
//	err = sessions.Revoke(ctx, token)        // log out
//
// A service behind the login server, with the same Redis and AppSecret, can protect its routes with [Store.Middleware]:
//
//	router.Use(sessions.Middleware)
//	...
//	sess, ok := session.FromContext(r.Context())
//
// Package client does the same by asking the login server, and is the better choice for most services. A service that
// opens sessions in Redis itself needs the AppSecret, with which one can act as the mini-program at WeChat. It may shorten
// or lengthen idle times, if its Options.IdleTTL is not that of the login server. And it does not see blocked users: they
// pass until their sessions end.
//
// # Keys
//
//	token ──SHA-256──▶ wxlogin:session:<hash>             sealed record: appid, openid, session_key, created
//	                   wxlogin:sessions:<appid>:<openid>  sorted set of that user's hashes, oldest first
//
// A token is 32 random bytes in base64url and carries no information. Redis holds only its SHA-256. The record is
// sealed with AES-256-GCM under a key derived from the app's AppSecret, with the hash as additional data. So read
// access to Redis reveals neither a token nor a session_key, and write access cannot move a record to another token.
//
// A session ends after [Options].IdleTTL without use, after Options.MaxLifetime in any case, when it is revoked, or when
// its user has more than Options.MaxPerUser and uses others. Every key that the package writes has an expiry.
//
// # The cap
//
// The index knows when sessions began, not when they were last used. If the index has more than Options.MaxPerUser
// members, [Store.Create] reads the TTL of their records. A use sets a record's TTL to Options.IdleTTL, so the record
// with the shortest TTL is the least recently used one. That costs a command per member, so several sessions end at
// once.
//
// # Revoking
//
// [Store.Revoke] ends one session by its token, [Store.RevokeAll] all sessions of a user in an app. Both may be
// repeated and are safe to run concurrently with anything else. A record is written before it is in the index and
// deleted before it leaves it. So if a call fails halfway, RevokeAll still finds every session for which a client has a
// token. There are two exceptions: the sorted set was deleted or overwritten by another program, or MaxLifetime was
// raised later, so that older sessions outlive their set. To be sure that the session at hand ends, call Revoke with
// its token after RevokeAll.
//
// # Changing the AppSecret
//
// After a change of the AppSecret, configure the old one as [App].PreviousSecret. New records are sealed under the new
// secret only; records sealed under the old one can still be read. They are not resealed on use: that would cost a
// write and a race for no benefit, because no session lives longer than MaxLifetime. Once that has passed since the
// change, the old secret can be removed. A session sealed under a secret that the Store does not know is a miss, and
// its user logs in again. Change all processes quickly: one that knows only the old secret does not find the sessions
// that the others begin.
//
// # Invalid records
//
// If Redis holds a value at a record's key that is not valid (another type, version or length, sealed under an unknown
// secret, modified or moved), Lookup, OtherSessionKeys and NewestSessionKey treat it as missing, and Revoke deletes it.
// If the key of an index holds another type, it counts as an empty index. The next Create deletes it, so that its user
// is not locked out. Sessions begun before then end by expiry or by Revoke, because RevokeAll no longer finds them.
// Index members that name no record, or a record of another user, are skipped.
//
// A Store logs each of these kinds once, at level Warn on Options.Logger, without any value. A missing key is not
// logged.
//
// # Other session keys
//
// [Store.OtherSessionKeys] returns the session_keys of the user's other sessions, by the same sorted set. They are for
// data that WeChat encrypted under another login's session_key than that of the token's session.
// [Store.NewestSessionKey] returns that of the login that came last, for signatures, which WeChat checks with one key.
//
// # Redis
//
// The package needs Redis 6.2 or later (GETEX): a single one, behind Sentinel, or a Cluster. No command and no script
// has two keys, so it also works through proxies that distribute keys over several nodes. Such a proxy does not keep
// the order of commands to different nodes: a session that begins at the same moment as a RevokeAll of its user may
// then stay alive without being in the index.
//
// A ClusterClient notices the death of a master only when it reloads the Cluster's state, so set its
// ClusterStateReloadInterval to a few seconds (go-redis's default is a minute). Set none of the options that read from
// replicas: a session must be found right after Create has returned its token.
//
// The package imports nothing else of this module and may be used alone.
package session
