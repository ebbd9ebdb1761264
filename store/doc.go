// Package store keeps the users of the login server in MySQL.
//
// The tables are in schema.sql at the root of the repository: `users` has one row a person, `wechat_identities` says
// which (appid, openid) is which user, and the view `user_profiles` is for people to read.
//
//	db, err := store.Open(dsn, store.Options{})   // does not connect
//	err = db.CheckCharset(ctx)                    // once, at the start
//	users := db.Users()
//	user, created, err := users.Login(ctx, store.Identity{AppID: appID, OpenID: openID, UnionID: unionID})
//	user, err = users.UpdateProfile(ctx, appID, openID, store.Profile{NickName: "…", AsOf: watermark})
//
// # Who is who
//
// A login with an (appid, openid) that is known is one read. An unknown one becomes a new user, unless WeChat told a
// unionid that some user holds already: then that user gets one more identity. A unionid may also turn up later, when
// the mini-program has been bound to an Open Platform account in the meantime:
//
//   - nobody holds it: it is set on the user;
//   - another user holds it: the two are one person, and the holder survives. It takes over all identities and fills
//     the gaps of its profile from the other, whose row stays with status merged, pointing at the survivor. All of it
//     is one transaction;
//   - another user holds it, but this one is disabled: nothing changes, the block stays where the administrator put
//     it. Where the holder is the disabled one, the merge goes on, and the person is blocked in both apps;
//   - the user has another unionid on record: the one on record stays, and the contradiction is logged.
//
// # Concurrency
//
// Nothing here takes a lock before it has to. The keys of the tables decide which of several first logins inserts;
// the conditions of an UPDATE decide which of several writers writes; whoever comes second reads again and goes on
// from there. A transaction that the server undoes for a deadlock is repeated, a bounded number of times.
//
// # Errors
//
// ErrNotFound, ErrIdentity and ErrUnavailable are to be told apart with errors.Is, as is context.Canceled. No error
// and no log line of this package holds a DSN, an openid, a unionid or a part of a profile.
package store
