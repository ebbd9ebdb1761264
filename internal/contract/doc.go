// Package contract reads the responses of a wxlogin server as strictly as README's tables describe them, for programs that
// test a running server from outside:
//
//	login, err := contract.ReadLogin(contract.ResponseOf(resp, body), requestID)
//
// It has the closed list of problems and the body of each route. It imports nothing of the server, so that a mistake there
// cannot hide itself here. Its errors are constant texts, because an unexpected response may hold a secret.
package contract
