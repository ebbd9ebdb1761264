// Package accesstoken caches the access_token of a WeChat mini-program in Redis and shares it between all instances of a
// server.
//
//	cache, err := accesstoken.New(accesstoken.Options{
//		Redis: redisClient, AppID: appID, Secret: appSecret, Fetch: client.StableToken, // client is a *wechat.Client
//	})
//	...
//	token, err := cache.Token(ctx, "")
//	number, err := client.PhoneNumber(ctx, token, openID, code)
//	if wechat.IsInvalidToken(err) { // replace the token once, repeat the call once
//		token, err = cache.Token(ctx, token)
//		...
//	}
//
// Most of WeChat's APIs need an access_token. The exchange of a login code ([wechat.Client.Code2Session]) does not.
//
// # Renewal
//
// A [Cache] fetches the token when it is first needed, and again before it ends:
//
//   - Only the instance that holds a lock in Redis calls WeChat. The others use the cached token or, if there is
//     none, wait for it up to [Options].MaxWait.
//   - From 5 minutes before a token's end WeChat returns a new one, and the old one stays valid. If the renewal
//     fails, the old one is used until its end.
//   - If WeChat has refused a token, it is replaced once: by the token that another instance has cached in the
//     meantime, by WeChat's current one, or, if that is the refused one, by a forced refresh. WeChat allows 20 forced
//     refreshes a day; all instances together make at most one in 72 minutes.
//
// # Secrets
//
// In Redis the token is sealed with AES-256-GCM under a key derived from the AppSecret. Errors do not contain it.
package accesstoken
