// Package handlers is the HTTP face of wxlogin: the routes for mini-programs on a public listener, health and metrics for
// operators and answers for other services on an internal one.
//
//	wx.login ──code──▶ POST /onLogin ─▶ wechat (code2Session) ─▶ store (find or create) ─▶ session (token)
//	wx.getUserInfo ──▶ POST /updateUserInfo ─▶ session (token) ─▶ wechat (decrypt, check) ─▶ store (fill in)
//	phone button ───▶ POST /bindPhone ─▶ session (token) ─▶ wechat (getuserphonenumber, or decrypt) ─▶ store
//	wx.uploadFile ──▶ POST /uploadAvatar ─▶ session (token) ─▶ avatar (decode, encode anew, keep) ─▶ store
//	other services ─▶ POST /introspect, /verify ─▶ session (token) ─▶ store (user)
//
// A handler returns an error; problem.go and classify.go are the only places where an error becomes a status, a code
// and a text, and no text of an inner error ever reaches a client. The package names neither MySQL's nor Redis's client:
// it asks for what it needs by the small interfaces below, which wechat.Client, session.Store and store.Users satisfy.
//
// It is imported by the commands only.
package handlers
