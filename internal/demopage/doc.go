// Package demopage is the demo's web page: a phone that runs the example mini-program in the browser, and beside it
// what crosses the wire, the user's row in MySQL and what Redis holds.
//
//	browser ── /phones/{id}/server/ ──> wxlogin ── Wire.Watch ──> the WeChat simulator
//	        ── /phones/{id}/wechat/ ─────────────────────────────^
//	        <── /phones/{id}/events: both, as they happen
//
// It is for the demo alone: anybody who reaches it can be anybody. It answers on loopback names only, so that no other
// website can have a browser read it. What is secret in earnest (codes, tokens, keys, phone numbers) does not leave it in
// events: it is told by name and number, the same name for the same value.
package demopage
