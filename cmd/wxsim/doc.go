// Command wxsim runs the WeChat simulator of package wechattest on a port: a stand-in for https://api.weixin.qq.com
// for development without a WeChat account.
//
//	wxsim -addr 127.0.0.1:8089 &
//	WECHAT_API_BASE=http://127.0.0.1:8089 WECHAT_APPID=wx000000000000demo WECHAT_SECRET=… wxlogin
//	curl -X POST 'http://127.0.0.1:8089/sim/login?user=alice'     # plays wx.login: {"code":"…"}
//
// The appid and AppSecret that it takes for valid come from -appid and -secret, or else from WECHAT_APPID and
// WECHAT_SECRET, or else are the ones of the demo, which "wxsim -help" prints. Those of WECHAT_APPS
// (appid:AppSecret,appid:AppSecret) are there beside it.
//
// It hands out anybody's login to anybody who asks: it belongs on a laptop or in a test, nowhere else.
package main
