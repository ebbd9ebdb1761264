// Package contract reads a wxlogin server's answers as strictly as README's tables promise them, for programs that test a
// running server from outside. It knows the closed list of problems and the body of each route, and imports nothing of the
// server, so that a slip there cannot excuse itself here.
//
// Its errors are constant texts: what an answer held beyond the promise may be a secret.
package contract
