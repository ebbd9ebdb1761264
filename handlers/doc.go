// Package handlers serves HTTP: the routes for mini-programs on a public listener, and health checks, metrics and token
// introspection on an internal one.
//
//	metrics := handlers.NewMetrics()
//	public, err := handlers.NewPublic(handlers.PublicOptions{
//		Apps: []handlers.CodeExchanger{weChat}, Sessions: sessions, Users: users, Logger: logger, Metrics: metrics,
//	})
//	// …
//	internal, err := handlers.NewInternal(handlers.InternalOptions{
//		Sessions: sessions, Users: users, Logger: logger, Metrics: metrics, APIKey: apiKey,
//	})
//
// weChat is a *wechat.Client, sessions a *session.Store, and users a *store.Users. The package declares the interfaces
// that it needs of them, and imports no client of MySQL or Redis.
//
// # Routes
//
//	POST /onLogin            wechat (code2Session) → store (find or create the user) → session (token)
//	POST /updateUserInfo     session (token) → wechat (decrypt) → profile (check) → store
//	POST /bindPhone          session → wechat (getuserphonenumber, or decrypt) → store
//	POST /uploadAvatar       session → avatar (decode, encode, keep) → store
//	GET  /userInfo           session → store
//	POST /logout             session
//	GET  /avatars/{name}     the file
//	POST /introspect         session → store, for other services
//	any  /verify             the same, for gateways
//	POST /sign, /decrypt     session → wechat, for other services: what needs a session_key
//	any  /users, /changes    store, for other services
//	any  /accessToken        wechat/accesstoken, for other services
//
// # Files
//
// routes.go has the options and the router of the public listener, internal.go those of the internal one. Each route
// has a file: login.go, update.go, phone.go, upload.go (its body in uploadbody.go), avatar.go, session.go, personal.go,
// push.go; sessionkey.go, users.go, userlookup.go and accesstoken.go are for other services. They share apikey.go,
// decrypt.go, limits.go, errors.go, middleware.go and metrics.go.
//
// # Rules
//
//   - A handler returns an error. If it does, handle classifies it once (toAPIError) and writes the response
//     (writeProblem). Every error response is one of the problems in errors.go; its text is a constant, never that of
//     another error.
//   - The cause of a failure is logged once, in the access log line of its request. A log line contains no token, code,
//     session_key, openid, phone number or name.
//   - Each step that waits for MySQL or Redis is bounded by StorageTimeout, calls to WeChat by its client. If storage
//     is unavailable, the response is 503; 401 means that the token is not valid.
//   - A request that exceeds a limit is counted by limit (wxlogin_refusals_total) and costs no call to WeChat and no
//     write.
package handlers
