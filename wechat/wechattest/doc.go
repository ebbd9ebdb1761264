// Package wechattest simulates the part of WeChat that a mini-program's login needs, and the phones of its users. It is
// for tests and for development without a WeChat account.
//
// A [Simulator] is an http.Handler that stands in for https://api.weixin.qq.com. A [Phone] plays one user in one
// mini-program:
//
//	sim := wechattest.New(wechattest.Options{Apps: map[string]string{appID: secret}})
//	server := httptest.NewServer(sim)
//	phone := sim.Device(appID, wechattest.User{Name: "alice"})
//
//	code := phone.Login()       // wx.login
//	...                         // the server under test exchanges it at server.URL
//	data := phone.GetUserInfo() // wx.getUserInfo, encrypted under the user's session_key
//	code = phone.PhoneCode()    // the phone button
//
// It keeps WeChat's rules and its oddities: codes live 5 minutes and work once, for one mini-program; a user has one
// valid session_key in each, which wx.login may replace; errors come with HTTP status 200, as JSON in text/plain, with
// a request id in errmsg and "/" written as "\/"; parameters count in the query of a GET only.
//
// An access_token of stable_token lives two hours. The same is given until 5 minutes before its end, then a new one beside
// it; force_refresh ends it at once, at most 20 times a day, and does nothing within 30 s of the last time. A code of the
// phone button is good for the user whose openid goes with it; that of another mini-program is answered 40013.
//
// [Simulator.Fail] makes the next exchanges fail as WeChat and networks do, [Simulator.FailAPI] those of another API,
// [Simulator.ExpireAccessTokens] ends the access_tokens, and [Simulator.Stats] counts what arrived.
//
// Over HTTP the paths under /sim/ do the same, so that a developer can play the phone with curl:
//
//	POST /sim/login?user=alice                 wx.login: {"code":"…"}
//	POST /sim/userinfo?user=alice&kind=info    what wx.getUserInfo gives; kind is info, profile or anonymous;
//	                                           nickname=… changes the nickname first
//	POST /sim/phonecode?user=alice             the phone button: {"code":"…"}
//	POST /sim/phonenumber?user=alice           the phone button of old: {"encryptedData":"…","iv":"…"}
//	POST /sim/chooseavatar?user=alice          the chooseAvatar button: {"avatarUrl":"http://tmp/…","data":"…"}, a JPEG in base64
//	POST /sim/bind?user=alice&unionid=o…       sets the unionid, as where the mini-programs are bound to an Open Platform
//	POST /sim/newkey?user=alice                replaces the session_key
//	POST /sim/expiretoken                      ends all access_tokens
//	POST /sim/fault?kind=busy&n=2              the next n exchanges fail; kind is what ParseFault takes; api=stable_token
//	                                           or api=getuserphonenumber: the next calls of that instead
//	GET  /sim/account?user=alice               openid, session_key and phone number, to search for leaks
//	GET  /sim/stats                            what arrived so far
//	GET  /sim/healthz                          {"status":"ok"}
//
// Those with a user take an appid where the simulator has several mini-programs.
//
// A user who is not known yet is made up, always the same for the same name. The simulator hands out anybody's login
// to anybody: never put it where a real one could be meant.
package wechattest
