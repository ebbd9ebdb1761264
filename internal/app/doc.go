// Package app puts the parts of wxlogin together: configuration, wiring, serving and the orderly stop. The commands
// wxlogin and demo share it, so that what the demo shows is what the server does.
//
//	cmd/wxlogin, cmd/demo -> app -> handlers -> session, store, wechat
package app
