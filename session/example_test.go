package session_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"wxlogin/session"
)

// A service in Go that shares Redis and the AppSecret with the login server knows its users without asking anybody.
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
	mux.Handle("GET /orders", sessions.Middleware(nil)(http.HandlerFunc(orders)))

	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/orders", nil))
	fmt.Println(answer.Code, answer.Header().Get("WWW-Authenticate"))
	// Output: 401 Bearer
}
