package accesstoken_test

import (
	"context"
	"fmt"
	"net/http/httptest"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"wxlogin/wechat"
	"wxlogin/wechat/accesstoken"
	"wxlogin/wechat/wechattest"
)

// Two instances of a server share one token.
func Example() {
	const appID, secret = "wx000000000000demo", "demosecret0000000000000000000000"
	ctx := context.Background()
	sim := wechattest.New(wechattest.Options{Apps: map[string]string{appID: secret}}) // in production: WeChat
	weChat := httptest.NewServer(sim)
	defer weChat.Close()
	server := miniredis.NewMiniRedis() // in production: Redis
	if err := server.Start(); err != nil {
		panic(err)
	}
	defer server.Close()

	newCache := func() *accesstoken.Cache {
		client, err := wechat.NewClient(wechat.Options{AppID: appID, Secret: secret, BaseURL: weChat.URL})
		if err != nil {
			panic(err)
		}
		cache, err := accesstoken.New(accesstoken.Options{
			Redis: redis.NewClient(&redis.Options{Addr: server.Addr()}), AppID: appID, Secret: secret, Fetch: client.StableToken,
		})
		if err != nil {
			panic(err)
		}
		return cache
	}
	first, err := newCache().Token(ctx, "")
	if err != nil {
		panic(err)
	}
	second, err := newCache().Token(ctx, "")
	fmt.Println(second.Value == first.Value, err)
	fmt.Println("calls to WeChat:", sim.Stats().TokenCalls)

	// WeChat has refused the token.
	third, err := newCache().Token(ctx, string(second.Value))
	fmt.Println(third.Value == second.Value, err)
	// Output:
	// true <nil>
	// calls to WeChat: 1
	// false <nil>
}
