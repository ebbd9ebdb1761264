// Package wechattest simulates WeChat's API for the login of mini-programs, and the devices of its users. It is for
// tests, and for development without a WeChat account.
//
//	sim := wechattest.New(wechattest.Options{Apps: map[string]string{appID: secret}})
//	weChat := httptest.NewServer(sim) // the server under test calls weChat.URL instead of https://api.weixin.qq.com
//
//	phone := sim.Device(appID, wechattest.User{Name: "alice"})
//	code := phone.Login()       // wx.login
//	data := phone.GetUserInfo() // wx.getUserInfo, encrypted under the user's session_key
//	code = phone.PhoneCode()    // the phone button
//	steps := phone.GetWeRunData()
//
//	sim.Fail(wechattest.Busy, wechattest.Slow(time.Second)) // the next two logins
//
//	response, err := phone.Push(ctx, wechattest.Event{Name: "user_authorization_cancellation"}) // to Options.Pushes
//
// # WeChat's rules
//
// The simulator keeps WeChat's rules and oddities. A code lives 5 minutes and can be used once, for one mini-program. A
// user has one valid session_key in each mini-program, which wx.login may replace. Errors have HTTP status 200, are
// JSON in text/plain, and have a request id in errmsg and "/" escaped as "\/". Only the parameters in the query of a
// GET are read.
//
// An access_token of stable_token lives two hours. The same token is returned until 5 minutes before its end, then a
// new one, while the old one stays valid. force_refresh revokes it at once, at most 20 times a day, and does nothing
// within 30 s of the last time. A code of the phone button is valid for its user's openid; for that of another
// mini-program the errcode is 40013.
//
// # Pushes
//
// [Device.Push] sends an event to the server of [Options].Pushes, once, signed as WeChat does and, if there is an
// EncodingAESKey, encrypted. WeChat itself would repeat it until the response is "success" or empty.
//
// # Faults
//
// [Simulator.Fail] makes the next login exchanges fail as WeChat and networks do, [Simulator.FailAPI] the calls of
// another API. [Simulator.ExpireAccessTokens] expires the access_tokens. [Simulator.Stats] counts the requests.
//
// # Control over HTTP
//
// The paths under /sim/ do the same, so that a developer can control the devices with curl:
//
//	POST /sim/login?user=alice                 wx.login: {"code":"…"}
//	POST /sim/userinfo?user=alice&kind=info    the result of wx.getUserInfo; kind is info, profile or anonymous;
//	                                           nickname=… changes the nickname first
//	POST /sim/phonecode?user=alice             the phone button: {"code":"…"}
//	POST /sim/phonenumber?user=alice           the phone button in older mini-programs: {"encryptedData":"…","iv":"…"}
//	POST /sim/werun?user=alice                 wx.getWeRunData: {"encryptedData":"…","iv":"…"}
//	POST /sim/group?user=alice                 wx.getGroupEnterInfo: the same
//	POST /sim/pay?user=alice                   wx.requestVirtualPayment with data=… and signature=…: {"valid":true} if the
//	                                           signature is that of data under the current session_key
//	POST /sim/chooseavatar?user=alice          the chooseAvatar button: {"avatarUrl":"http://tmp/…","data":"…"}, a JPEG in base64
//	POST /sim/bind?user=alice&unionid=o…       sets the unionid, as if the mini-programs were bound to an Open Platform account
//	POST /sim/newkey?user=alice                replaces the session_key
//	POST /sim/event?user=alice&event=user_authorization_revoke&revoke=8
//	                                           pushes an event to the server: {"status":200,"body":"success"}, its response;
//	                                           format is json or xml; createtime=… (Unix time) repeats an earlier event
//	POST /sim/expiretoken                      expires all access_tokens
//	POST /sim/fault?kind=busy&n=2              the next n exchanges fail; kind is a name for ParseFault; with api=stable_token
//	                                           or api=getuserphonenumber: the next calls of that API
//	GET  /sim/account?user=alice               openid, session_key and phone number, to search for leaks
//	GET  /sim/stats                            the counts so far
//	GET  /sim/healthz                          {"status":"ok"}
//
// Paths with a user also accept an appid, for a simulator with several mini-programs.
//
// An unknown user is generated, always the same for the same name. The simulator returns any user's login to any caller:
// never use it in place of the real WeChat.
package wechattest
