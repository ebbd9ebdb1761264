// Package wechat calls WeChat's mini-program API and decrypts the data that WeChat encrypts for a mini-program.
//
// A [Client] exchanges the code of wx.login for an openid and a session_key:
//
//	client, err := wechat.NewClient(wechat.Options{AppID: appID, Secret: secret})
//	...
//	session, err := client.Code2Session(ctx, code)
//	switch wechat.KindOf(err) {
//	case wechat.KindInvalidCode: // the mini-program must call wx.login again
//	case wechat.KindUnavailable: // try again later
//	...
//
// The session_key stays on the server. It decrypts the data that the mini-program sends later:
//
//	info, err := wechat.DecryptUserInfo(string(session.SessionKey), encryptedData, iv, wechat.Owner{
//		AppID: client.AppID(), OpenID: session.OpenID,
//	})
//	profile := info.WithoutPlaceholders()
//
// [DecryptPhoneNumber] and [DecryptData] do so for other data, and [SignData] signs with it.
//
// The code of a phone button is exchanged for the phone number with an access_token, which logins do not need:
//
//	token, _, err := client.StableToken(ctx, false) // package accesstoken caches and shares it
//	number, err := client.PhoneNumber(ctx, token, session.OpenID, phoneCode)
//
// # Guarantees
//
// A code is single-use, so a request with a code that may have reached WeChat is never sent twice, neither by this
// package nor by net/http: see [Client.Code2Session].
//
// No error contains the AppSecret, a code, a session_key, an access_token, a phone number or a URL, and no printed or
// logged value does: see [Secret]. Error texts come from tables in this package, never from WeChat's errmsg or from
// net/http.
//
// Data that cannot be decrypted is always [ErrDecrypt]. Invalid padding, JSON, watermark and openId are
// indistinguishable, so that a server built on this package is not a padding oracle.
//
// The package imports only the standard library. Package wechattest simulates WeChat for tests, and for development
// without a WeChat account.
package wechat
