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
	server := httptest.NewServer(sim)
	defer server.Close()
	client, err := wechat.NewClient(wechat.Options{AppID: appID, Secret: secret, BaseURL: server.URL})
	if err != nil {
		fmt.Println(err)
		return
	}

	phone := sim.Device(appID, wechattest.User{Name: "alice"})
	code := phone.Login()
	session, err := client.Code2Session(context.Background(), code)
	fmt.Println(session.OpenID == phone.OpenID(), err)

	_, err = client.Code2Session(context.Background(), code)
	fmt.Println(wechat.KindOf(err))
	// Output:
	// true <nil>
	// invalid_code
}
