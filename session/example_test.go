package session_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"wxlogin/session"
)

func Example() {
	ctx := context.Background()
	server := miniredis.NewMiniRedis() // in production: Redis 6.2 or later
	if err := server.Start(); err != nil {
		panic(err)
	}
	defer server.Close()
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()

	sessions, err := session.New(session.Options{
		Redis: client,
		Apps:  []session.App{{AppID: "wx0123456789abcdef", Secret: "the AppSecret"}},
	})
	if err != nil {
		panic(err)
	}
	token, err := sessions.Create(ctx, session.Session{
		AppID: "wx0123456789abcdef", OpenID: "oGZUI0egBJY1zhBYw2KhdUfwVJJE", SessionKey: "tiihtNczf5v6AKRyjwEUhQ==",
	})
	if err != nil {
		panic(err)
	}
	sess, err := sessions.Lookup(ctx, token)
	fmt.Println(sess.OpenID, err)

	if err := sessions.Revoke(ctx, token); err != nil {
		panic(err)
	}
	_, err = sessions.Lookup(ctx, token)
	fmt.Println(errors.Is(err, session.ErrNotFound))
	// Output:
	// oGZUI0egBJY1zhBYw2KhdUfwVJJE <nil>
	// true
}

// A service in Go that shares Redis and the AppSecret with the login server authenticates its users without a call to
// it, and without seeing who is blocked. Package client asks instead.
func ExampleStore_Middleware() {
	server := miniredis.NewMiniRedis()
	if err := server.Start(); err != nil {
		panic(err)
	}
	defer server.Close()
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()

	sessions, err := session.New(session.Options{
		Redis: client,
		Apps:  []session.App{{AppID: "wx0123456789abcdef", Secret: "the AppSecret"}},
	})
	if err != nil {
		panic(err)
	}
	orders := func(w http.ResponseWriter, r *http.Request) {
		sess, _ := session.FromContext(r.Context())
		fmt.Fprintln(w, "orders of", sess.OpenID)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /orders", sessions.Middleware(http.HandlerFunc(orders)))

	recorder := httptest.NewRecorder()
	mux.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/orders", nil))
	fmt.Println(recorder.Code, recorder.Header().Get("WWW-Authenticate"))
	// Output: 401 Bearer
}
