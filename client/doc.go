// Package client is for the team's other services: it asks the login server whose token a request has, reads and
// changes users, and follows what happens to them. It speaks to the server's internal listener.
//
//	login, err := client.New(client.Options{BaseURL: "http://127.0.0.1:9090", APIKey: key})
//	...
//	mux.Handle("GET /orders", login.Middleware(orders))
//	...
//	token, ok := client.FromContext(r.Context()) // token.UserID is the id to store
//
// Without a middleware, [Client.Introspect] does the same for one token. A logout and a block show with the next call,
// and the service needs neither Redis nor the AppSecret. That is what package session needs, which finds sessions
// without a call to the server.
//
// # Errors
//
// Every error matches one of the sentinels below with errors.Is, and is a *[Error] if the server was asked:
//
//	_, err := login.Introspect(ctx, token)
//	if errors.Is(err, client.ErrInvalidToken) {
//		// the mini-program must log in again
//	}
//
// [ErrInvalidToken] means that the server has said so, or that the text is no token. Any other error says nothing about
// the token, so do not sign the user out: [ErrUnavailable] if the server does not answer, fails, or answers what cannot be
// read, [ErrAPIKey] if it does not accept the key. No error text has a token, a key, a query or data.
//
// # Time and repeats
//
// A call takes at most Options.Timeout, repeats included. It is repeated if the connection breaks, or if the server
// answers 503 and asks for a retry: at most Options.Retries times, with jitter, and not before the Retry-After. If the
// time does not suffice for that, the error returns at once. Every route may be repeated safely. Data that
// [Client.Decrypt] cannot decrypt may count twice against the limit of such failures.
//
// # Keeping answers
//
// Each introspection is a request to the server. With Options.CacheTTL an active token is kept for that long, so that a
// page of ten requests costs one. The price: a token that was logged out, and a user who was blocked or erased, pass for
// up to CacheTTL longer, and the session's idle time restarts later. Nothing else is kept: not the tokens that are
// refused, and no user.
//
// The package imports nothing but the standard library.
package client
