// Package server puts the parts of wxlogin together: configuration, wiring, serving and the orderly stop. The commands
// wxlogin and demo share it, so that what the demo shows is what the server does.
//
//	cmd/wxlogin, cmd/demo -> server -> handlers -> session, store, wechat
package server
