// Command wxload plays many mini-programs at once against a running wxlogin server, checks every answer, and says how fast
// and how right they were:
//
//	wxload -server http://127.0.0.1:8080 -wechat http://127.0.0.1:8089
//	wxload -server http://127.0.0.1:8080 -wechat http://127.0.0.1:8089 -internal http://127.0.0.1:9090 -rate 500 -duration 5m -json -
//
// The server's WeChat must be the simulator (cmd/wxsim, or the demo's), which is asked for codes and sealed profiles. For
// a test of load the server needs LOGIN_RATE_LIMIT=0, since all phones come from one address, and UPDATE_RATE_LIMIT=0 where
// the users are few. "wxload -help" names all flags. -server and -internal may be given several times, or with commas.
//
// # What is played
//
// Each of the phones has users of its own. All of them log in once before the run. An action of -mix is drawn each time:
//
//	returning    a login of somebody who was here before
//	new          a login of somebody who was never here, and from then on takes a user's place
//	update       a profile with another nickname
//	unchanged    the profile that the server has already (the first one, of somebody who has none)
//	userinfo     a reading of the profile
//	introspect   what another service asks: whose token is this? It needs -internal
//	logout       after which the token must be of no use, and its user logs in again
//
// A weight is a whole number; what a mix does not name has the weight 0. The users' names come from -seed: the same users
// come back with the same seed, so that two runs at the same time need two seeds.
//
// Users do what answers advise: on relogin their next action is a login; on retry they wait for Retry-After, at most 10 s,
// and half as long again at random; after a failure without advice for 1 to 1.5 s. Their phone goes on with its other users.
//
// # What is measured
//
// In a closed loop each phone sends its next request when it has been answered. With -rate the loop is open: actions are
// due at that rate, whatever the answers, and a latency counts from when its action was due, so that a server that stands
// still shows in every action that should have been sent meanwhile. -phones bounds the requests at once; what is still
// overdue at the end is not sent, and counted. What the simulator gives is asked for up to 2 s ahead; where a phone had to
// wait for it nevertheless, that time is taken off. (Timers wake up to a millisecond late, which counts.) Latencies are of
// all requests, whatever came of them; buckets are a thousandth wide.
//
// Each request ends as a success, an error, or a wrong answer. Errors are refusals that keep README's contract, by their
// code (an introspection that calls a token inactive is an invalid_token), and connections: refused (none was made), cut
// (it ended before the answer) or timed_out. Wrong answers are those that contradict what is known:
//
//	outside_contract      not what README promises of status, type, body, request id, code and action, such as a proxy's 502
//	others_profile        a profile that this user never had
//	stale_profile         not the one that was written last. After an update without a known end (cut, timed out, 5xx) either
//	                      may be read, until a later one is acknowledged
//	new_twice             isNewUser of somebody who is known
//	other_identity        an introspection with another openid than the simulator's, another client_id, another sub than before
//	active_after_logout   a token that works after its logout
//
// Interrupted, wxload lets requests under way finish and prints the result of what there was. Exit codes: 0 all well, 1
// wrong answers, more errors than -max-errors or no request at all, 2 wrong command line.
//
// # JSON
//
// Times are in milliseconds where a name ends in Ms. Seconds count from the end of the warm-up.
//
//	settings            what was asked for: servers, internals (how many), phones, users, rate, mix, seed, durationSeconds,
//	                    warmupSeconds, timeoutSeconds, maxErrors
//	seconds             how long it was measured; endedEarly: less than asked for
//	all, routes[]       route, requests, perSecond, errors, wrong, p50Ms, p90Ms, p99Ms, p999Ms, maxMs
//	errorShare          errors of all requests, 0 to 1
//	errors[]            code, count, firstSecond, lastSecond; the most frequent first
//	wrongAnswers[]      kind, count, firstSecond, lastSecond, and up to five examples[] of second, route, user, requestId, why;
//	                    those before the measuring are here too, at second 0
//	schedule            of an open loop: due, sent, onTime (within 10 ms), unsent, lagP50Ms, lagP99Ms, lagMaxMs (between due and
//	                    sent), waitedForSimulatorMs (taken off latencies, in all)
//	simulator           requests, failures
//	uncounted           by route: requests of the logins before the run and of the warm-up
//	timeline            stepSeconds, and moments[] of second, requests, errors by code, wrong, p99Ms; in long runs a moment is
//	                    2, 4, 8… seconds, and its p99Ms the greatest of theirs
package main
