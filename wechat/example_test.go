package wechat_test

import (
	"context"
	"fmt"
	"net/http/httptest"

	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

func Example() {
	const appID, secret = "wx000000000000demo", "demosecret0000000000000000000000"
	simulator := httptest.NewServer(wechattest.New(wechattest.Options{Apps: map[string]string{appID: secret}}))
	defer simulator.Close()
	client, err := wechat.NewClient(wechat.Options{
		AppID: appID, Secret: secret, BaseURL: simulator.URL, // without a BaseURL it is WeChat's
	})
	if err != nil {
		panic(err)
	}
	_, err = client.Code2Session(context.Background(), "a code that WeChat does not know")
	fmt.Println(wechat.KindOf(err))
	// Output: invalid_code
}

func ExampleClient_Code2Session() {
	const appID, secret = "wx000000000000demo", "demosecret0000000000000000000000"
	sim := wechattest.New(wechattest.Options{Apps: map[string]string{appID: secret}})
	server := httptest.NewServer(sim)
	defer server.Close()
	client, err := wechat.NewClient(wechat.Options{AppID: appID, Secret: secret, BaseURL: server.URL})
	if err != nil {
		panic(err)
	}
	phone := sim.Device(appID, wechattest.User{Name: "alice", OpenID: "oGZUI0egBJY1zhBYw2KhdUfwVJJE"})

	session, err := client.Code2Session(context.Background(), phone.Login()) // the code of wx.login
	fmt.Println(session, err)

	data := phone.GetUserInfo() // the result of wx.getUserInfo
	info, err := wechat.DecryptUserInfo(string(session.SessionKey), data.EncryptedData, data.IV, wechat.Owner{
		AppID: appID, OpenID: session.OpenID,
	})
	fmt.Println(info.WithoutPlaceholders().NickName, err)
	// Output:
	// {oGZUI0egBJY1zhBYw2KhdUfwVJJE  [redacted]} <nil>
	// alice <nil>
}

func ExampleDecryptUserInfo() {
	sim := wechattest.New(wechattest.Options{Apps: map[string]string{"wx000000000000demo": "secret"}})
	phone := sim.Device("", wechattest.User{Name: "alice"})
	data := phone.GetUserInfo()

	info, err := wechat.DecryptUserInfo(phone.SessionKey(), data.EncryptedData, data.IV, wechat.Owner{
		AppID:  "wx000000000000demo",
		OpenID: phone.OpenID(),
	})
	fmt.Println(info.WithoutPlaceholders().NickName, err)
	// Output: alice <nil>
}
