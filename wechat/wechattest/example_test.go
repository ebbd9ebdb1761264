package wechattest_test

import (
	"context"
	"fmt"
	"net/http/httptest"

	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

func Example() {
	const appID, secret = "wx000000000000demo", "demosecret0000000000000000000000"
	sim := wechattest.New(wechattest.Options{Apps: map[string]string{appID: secret}})
	weChat := httptest.NewServer(sim)
	defer weChat.Close()
	client, err := wechat.NewClient(wechat.Options{AppID: appID, Secret: secret, BaseURL: weChat.URL})
	if err != nil {
		panic(err)
	}

	phone := sim.Device(appID, wechattest.User{Name: "alice"})
	code := phone.Login()
	session, err := client.Code2Session(context.Background(), code)
	fmt.Println(session.OpenID == phone.OpenID(), err)

	_, err = client.Code2Session(context.Background(), code) // a code can be used once
	fmt.Println(wechat.KindOf(err))
	// Output:
	// true <nil>
	// invalid_code
}

func ExampleSimulator_Fail() {
	const appID, secret = "wx000000000000demo", "demosecret0000000000000000000000"
	sim := wechattest.New(wechattest.Options{Apps: map[string]string{appID: secret}})
	weChat := httptest.NewServer(sim)
	defer weChat.Close()
	client, err := wechat.NewClient(wechat.Options{AppID: appID, Secret: secret, BaseURL: weChat.URL})
	if err != nil {
		panic(err)
	}
	phone := sim.Device(appID, wechattest.User{Name: "alice"})

	sim.Fail(wechattest.RateLimited, wechattest.BadGateway)
	for range 3 {
		_, err := client.Code2Session(context.Background(), phone.Login())
		fmt.Println(wechat.KindOf(err), err == nil)
	}
	fmt.Println(sim.Stats().Calls, "calls")
	// Output:
	// rate_limited false
	// unavailable false
	// unknown true
	// 3 calls
}
