// Package ratelimit limits how often something happens for a key within a sliding window. It counts in memory, and
// flushes the counts to Redis, so that all instances of the server count together. No method waits for Redis, and none
// fails.
//
//	counter := ratelimit.New(ratelimit.Options{Redis: client, Prefix: "app:rate:", Window: time.Minute, Timeout: time.Second})
//	defer counter.Close()
//	logins := counter.Limiter("logins", 60)
//	if !logins.Allow(address) {
//		// 429
//	}
//
// How an event gets to Redis:
//
//	Limiter ──> table                counts by key and window, in memory
//	             ▲ │
//	             │ ▼                 every Options.FlushInterval, if something was counted
//	           flusher ──> <prefix>{<hash of the key>}:<start of the window in Unix seconds>
//
// A [Counter] works on any Redis: single, behind Sentinel, or a Cluster. The windows of one key are on one node, and
// every key has an expiry. Redis has only a hash of what is counted (an address, a user).
//
// # Checking and counting are one step
//
// [Limiter.Allow] checks and counts under one lock: of N concurrent calls for a key, one process allows exactly the
// limit. If only the outcome of the work decides whether it counts, [Limiter.Reserve] takes a place first: a
// [Reservation] uses up the limit until it ends, and [Reservation.Keep] then counts it. Reservations stay in this
// process; only what was kept is shared.
//
// # What instances know of each other
//
// In one process a limit is exact. An instance learns what others have counted for a key when it has counted for that
// key itself, Options.FlushInterval and a round trip later. So the first requests for a key get in at each instance,
// and the instance learns; what it has learned is right until others count again. Several instances together may allow
// more than the limit: at each but the first, what arrives there for one key within about Options.FlushInterval. Those
// events are counted too, so later ones pay for them. An instance also keeps up to 1/32 of a limit to itself before it
// shares a count: most keys never get that far, and cost Redis nothing. The count of the previous window is read once,
// when a key is first sent in a new window.
//
// # When Redis is away
//
// A limit must not make requests fail or wait, so a Counter continues, but alone. What was in flight when Redis went is
// never sent again: it may have been counted, and to count an event twice is worse than to miss it elsewhere. It stays
// counted here, whatever Redis says. What was counted later waits and is sent when Redis is back, as long as its window
// is the current or the previous one.
//
// The package imports nothing of this module.
package ratelimit
