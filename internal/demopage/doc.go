// Package demopage is the demo's web page: a phone on which the example mini-program's login client runs, the traffic
// between phone, server and WeChat, the user's row in MySQL and the contents of Redis.
//
//	browser ── /phones/{id}/server/ ──> wxlogin ── Wire.Watch ──> the WeChat simulator
//	        ── /phones/{id}/wechat/ ─────────────────────────────^
//	        <── /phones/{id}/events: both, as they happen
//	Page.push, as WeChat pushes ──> wxlogin
//
// It is for the demo only: there is no authentication, so any client can act as any user. It serves loopback host names
// only, so that other websites cannot read it through a browser (DNS rebinding). Values that would be secret in
// production (codes, tokens, keys, phone numbers) appear in events and state only if the browser asks for them with
// ?secrets=show. Otherwise there are pseudonyms instead, such as "token 2"; the same value always has the same pseudonym.
package demopage
