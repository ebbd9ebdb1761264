// Package wechat speaks to WeChat's mini-program API and opens the data that WeChat encrypts for a mini-program.
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
// The session_key stays on the server. It opens what the mini-program sends later:
//
//	info, err := wechat.DecryptUserInfo(session.SessionKey, encryptedData, iv, wechat.Owner{
//		AppID: client.AppID(), OpenID: session.OpenID,
//	})
//	profile := info.Real() // without WeChat's anonymous placeholders
//
// The code of a phone button is exchanged for the phone number with an access_token, which logins never need:
//
//	token, _, err := client.StableToken(ctx, false) // to be kept and shared
//	number, err := client.PhoneNumber(ctx, token, session.OpenID, phoneCode)
//
// Three promises hold throughout.
//
// A code is single-use, so an exchange that may have reached WeChat is never sent twice: neither by this package nor,
// behind its back, by net/http (see [Client.Code2Session]).
//
// No error, and no printed or logged value, holds the AppSecret, a code, a session_key, an access_token, a phone number or a
// URL. Error texts come from tables in this package, never from WeChat's errmsg or from net/http.
//
// Data that cannot be opened gives [ErrDecrypt], whatever the reason: padding, JSON, watermark and openId faults look
// alike, so that nobody can use a server built on this package as a padding oracle.
//
// The package imports nothing but the standard library. Package wechattest simulates WeChat for tests and for
// development without a WeChat account.
package wechat
