// Package store keeps the users of the login server in MySQL.
//
// The tables are in schema.sql at the root of the repository: `users` has one row a person, `wechat_identities` says
// which (appid, openid) is which user, `user_merges` which users turned out to be one, and the view `user_profiles` is for
// people to read.
//
//	db, err := store.Open(dsn, store.Options{})   // does not connect
//	err = db.CheckCharset(ctx)                    // once, at the start
//	users := db.Users()
//	user, created, err := users.Login(ctx, store.Identity{AppID: appID, OpenID: openID, UnionID: unionID})
//	user, _, err = users.UpdateProfile(ctx, appID, openID, store.Profile{NickName: "…", AsOf: watermark})
//
// # Who is who
//
// A login with an (appid, openid) that is known is one read. An unknown one becomes a new user, unless WeChat told a
// unionid that some user holds already: then that user gets one more identity. A unionid may also turn up later, when
// the mini-program has been bound to an Open Platform account in the meantime:
//
//   - nobody holds it: it is set on the user;
//   - another user holds it: the two are one person, and the one who was there first survives (created_at, then id). It
//     takes over the unionid and all identities, and fills the gaps of its profile, and the phone number if it has none,
//     from the other; what it has stays, whoever gave it. The other's row stays with status merged, pointing at the
//     survivor (who may be merged in turn), and user_merges records it. All of it is one transaction;
//   - another user holds it, but this one is disabled: nothing changes, the block stays where the administrator put
//     it. Where the holder is the disabled one, the merge goes on, and the survivor, whichever it is, is disabled: the
//     person is blocked in both apps. A merge never lifts a block, nor does it make a status active that this version does
//     not know;
//   - the user has another unionid on record: the one on record stays, and the contradiction is counted (DB.UnionIDConflicts) and logged
//     once an hour for each app. docs/operations.md says what helps if the app has moved to another Open Platform account.
//
// A unionid comes from WeChat's answer to a login alone, never from data that the client brings.
//
// Everything but StatusActive is refused, and what a hand edit has torn apart too: an identity that points at a merged user is
// blocked until its user_id is mended, for the server does not guess whose it is. An identity whose user is gone altogether
// gets a new one at its next login.
//
// # Logins by day
//
// Login counts in memory, by day and mini-program; DB.RunLoginDays adds the counts to the table login_days every ten seconds
// and at its end. Stop it before Close.
//
// # Versions of the database
//
// The files in migrations are the steps from nothing to SchemaVersion; DB.Migrate takes those that are missing, schema.sql
// is what they lead to. Steps only add what servers of the version before do not mind. So DB.Ready refuses a database of
// an earlier version, and takes one of a later version: first migrate, then replace the servers, one by one.
//
// # Statements
//
// What people cause every day is in statements.go as it is sent. It goes past GORM, whose way to a statement would take
// about a third of all the CPU that a call takes in this process. A returning login is one trip to the server, an update
// that changes something two, a first login five, or six with a unionid. GORM makes what happens once in a user's life:
// see unionid.go and merge.go.
//
// Where many users are looked up at the same moment, or many profiles written, several go in one statement, and several first
// logins in one transaction: see together.go.
// In a trace, that statement belongs to the first of them. A row that somebody else keeps locked holds up the profiles that
// go with it, for a second at most: then the server gives the statement up (lockWait), and each goes alone.
//
// # Concurrency
//
// Nothing here takes a lock in the database before it has to. The keys of the tables decide which of several first logins
// inserts; the conditions of an UPDATE decide which of several writers writes; the one that comes second reads again and goes on
// from there. A transaction that the server undoes for a deadlock is repeated, a bounded number of times.
//
// Profile and phone updates of one identity run one after another in a process (user_locks.go). If those of other processes
// keep coming first, an update locks the row (change.go). What still conflicts after all retries is ErrUnavailable.
//
// # Clocks
//
// Each process writes times by its own clock. What becomes of stored times that a fast clock has put into the future is in
// clocks.go.
//
// # Errors
//
// ErrNotFound, ErrIdentity, ErrSchema and ErrUnavailable are to be told apart with errors.Is, as is context.Canceled. Some kinds of
// ErrUnavailable have a name of their own, such as ErrAccessDenied: an operator must mend these. No
// error and no log line of this package holds a DSN, an openid, a unionid or a part of a profile, nor any text of the server, which
// may quote them: see quiet. What connections set is in settings.go.
package store
