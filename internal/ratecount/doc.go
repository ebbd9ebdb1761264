// Package ratecount counts events for rate limits: in this process first, and in Redis soon after, so that all instances of
// the server count together. Counting and asking cost no round trip, never wait and never fail.
//
//	request ──> Counter ──> table        counts by key and window, in memory
//	                          ▲ │
//	                          │ ▼        every Options.Interval, while something was counted
//	                        flusher ──> <prefix>{<hash of the key>}:<start of the window in Unix seconds>
//
// A [Counter] is a httprate.LimitCounter on any Redis: alone, behind Sentinel, or a Cluster. The windows of one key are on
// one node, and no key stands without an expiry. What is counted (an address, a session) is in Redis only as a hash.
//
// # What a limit means then
//
// In one process a limit is exact. What the others have counted for a key, an instance learns when it has counted for that
// key itself, Options.Interval and a round trip later: an instance that has not met a key in this window and the one before
// lets its first requests in, and learns. What it has learnt is right until the others count on. So several instances may
// let in more than the limit: at each but the first, what arrives there for one key within about Options.Interval. That is
// counted too, so later requests pay for it. Through [Counter.ForLimit] an instance also keeps up to a 32nd of a limit to
// itself. The count of the window before is asked for once, when a key is first sent in
// a new window.
//
// # When Redis is away
//
// A limit must not be what makes requests fail or wait, so the Counter goes on as before, but alone. What was on its way when
// Redis went is never sent again: it may have been counted, and to count a request twice is worse than to miss it
// elsewhere. It stays counted here, whatever Redis says. What was counted later waits, and is sent when Redis is back, as
// long as its window is the current one or the one before.
//
// The package imports nothing of this module.
package ratecount
