// Package store keeps the users of the login server in MySQL.
//
//	db, err := store.Open(dsn, store.Options{})   // does not connect
//	err = db.CheckCharset(ctx)                    // once, at the start
//	users := db.Users()
//	user, created, err := users.Login(ctx, store.Identity{AppID: appID, OpenID: openID, UnionID: unionID})
//	user, _, err = users.UpdateProfile(ctx, appID, openID, store.Profile{NickName: "…", AsOf: watermark})
//
// One rule for statements: GORM for everything but the hot ones, which are raw SQL in hot.go. These are: find by
// identity, find by unionid, update a profile, touch last_login_at, and sign up. GORM would take about a third of the
// CPU of such a call in this process: see docs/performance.md. (Migrations and checks of the server itself need no ORM.)
//
// The tables are in schema.sql at the root of the repository. `users` has one row per person, `wechat_identities` maps
// (appid, openid) to a user, `user_merges` records which users were merged, `user_changes` records what other services must
// follow, and the views are for administrators.
//
// # Identities
//
// [Users.Login] with a known (appid, openid) is one read. An unknown one becomes a new user, unless WeChat sent a
// unionid that a user already has: then it is linked to that user. A unionid may also appear later, when the
// mini-program has been bound to an Open Platform account:
//
//   - If no user has it, it is set on the user.
//   - If another user has it, the two are one person and are merged. The older one (created_at, then id) survives. It
//     gets the unionid and all identities, and fills empty fields of its profile, and its phone number if it has none,
//     from the other; a field that it has stays, whatever its source. So it is with the external id; if both have one, the
//     other user keeps its own, which leads to the survivor. The other row stays with status merged and points
//     at the survivor, which may be merged in turn. user_merges records the merge. All of it is one transaction.
//   - If another user has it and this one is disabled, nothing changes: the block stays where the administrator set it.
//     If the other one is disabled, they are merged, and the survivor is disabled: the person is blocked in both apps.
//     A merge never lifts a block, and never makes a status active that this version does not know.
//   - If the user has a different unionid on record, that one stays, and the conflict is counted
//     ([DB.UnionIDConflicts]) and logged once an hour for each app. docs/operations.md says what to do if the app has
//     moved to another Open Platform account.
//
// A unionid is only accepted from WeChat's response to a login and from an operator's import, never from data that the client
// sends.
//
// Every status but StatusActive is refused. If a manual edit has left an identity with a merged user, the identity is
// blocked until its user_id is fixed, because the server does not guess its owner. If the user of an identity does not
// exist, the identity gets a new one at its next login.
//
// # Imported users
//
// [Users.Import] brings users of another system, some hundreds in a transaction. It fills what is empty, and merges by unionid
// as a login does. An imported user has not logged in yet: last_login_at is created_at, and last_seen_at is before it.
//
// # Erased users
//
// [Users.Erase] leaves a tombstone: the id, StatusErased and two times. The identities are deleted, so that the next login
// creates a new user, and the users that were merged into the erased one are emptied. What is outside of this database,
// sessions and pictures, is listed in pending_deletions in the same transaction: see [Users.PendingDeletions].
//
// [Users.Remove] removes a part: nickname, avatar or phone number. What the user gave after that was asked for stays; each
// of the three has its own time for that (nickname_as_of, avatar_as_of, phone_bound_at).
//
// Both lock the user's row and work beside logins, updates and merges, whose conditions then fail, so that they begin again
// with what is left.
//
// # Changes
//
// Merges, erases, removals, [Users.SetStatus] and [Users.SetExternalID] add to user_changes. Its numbers are in the order of the commits: each of
// these transactions ends with the lock on the row of user_change_counter. They are rare.
//
// # Activity
//
// last_login_at and last_seen_at are written at most once an hour, and at the first request of a day in Options.Zone. The
// write that moves last_seen_at to another day makes the user active on that day, once: see activity.go.
//
// Logins, new and active users are counted in memory, by day and mini-program. [DB.RunLoginDays] adds the counts to the
// table login_days every ten seconds and when it ends. Stop it before [DB.Close].
//
// # Versions of the database
//
// The files in migrations are the steps from an empty database to SchemaVersion, which schema.sql describes.
// [DB.Migrate] runs the missing ones. Steps only add, and servers of the previous version are not affected by that. So
// [DB.Ready] refuses a database of an earlier version and accepts one of a later version: first migrate, then replace
// the servers one by one.
//
// # Round trips
//
// A returning login is one round trip to the server, an update that changes something two, a first login five, or six
// with a unionid.
//
// Concurrent lookups and profile writes share statements, and concurrent first logins share transactions: see
// internal/batch. In a trace, a shared statement belongs to the first of its calls. If another connection keeps a row
// locked, the profiles in the same statement wait for a second at most. Then the server gives up the statement
// (lockWait), and each is written alone.
//
// # Concurrency
//
// Nothing takes a lock in the database unless it has to. Unique keys decide which of several first logins inserts. The
// conditions of an UPDATE decide which of several writers writes; the others read again and continue from there. A
// transaction that the server undoes because of a deadlock is repeated, a bounded number of times.
//
// Profile and phone updates of one identity run one after another in a process. If updates of other processes keep
// winning, an update locks the row (see changeUser). A conflict that outlasts all retries is ErrUnavailable.
//
// Each process writes times by its own clock. The end of update.go handles stored times that a fast clock has put into
// the future.
//
// # Errors
//
// Callers distinguish ErrNotFound, ErrIdentity, ErrSchema, ErrUnavailable and context.Canceled with errors.Is. Some
// kinds of ErrUnavailable, such as ErrAccessDenied, have a name, because an operator must fix them. No error and no log
// line of this package contains a DSN, an openid, a unionid or a part of a profile, nor any text of the server, which
// may quote them: see redact. The settings of connections are in dsn.go.
package store
