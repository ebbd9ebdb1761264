package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wxlogin/client"
	"wxlogin/internal/testenv/servertest"
)

func ExampleClient_Introspect() {
	login, err := client.New(client.Options{
		BaseURL: os.Getenv("WXLOGIN_INTERNAL"), // such as http://127.0.0.1:9090
		APIKey:  os.Getenv("INTERNAL_API_KEY"),
	})
	if err != nil {
		log.Fatal(err)
	}
	token, err := login.Introspect(context.Background(), os.Getenv("TOKEN"))
	switch {
	case errors.Is(err, client.ErrInvalidToken):
		fmt.Println("log in again") // 401
	case err != nil:
		fmt.Println("try again later:", err) // 503: the token may be valid
	default:
		fmt.Println("user", token.UserID, "of", token.AppID)
	}
	// With the token of the first user it prints:
	// user 1 of wx000000000000demo
}

func ExampleClient_Middleware() {
	login, err := client.New(client.Options{
		BaseURL: os.Getenv("WXLOGIN_INTERNAL"), // such as http://127.0.0.1:9090
		APIKey:  os.Getenv("INTERNAL_API_KEY"),
	})
	if err != nil {
		log.Fatal(err)
	}
	orders := func(w http.ResponseWriter, r *http.Request) {
		token, _ := client.FromContext(r.Context()) // Middleware lets only requests with a valid token through
		fmt.Fprintln(w, "orders of user", token.UserID)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /orders", login.Middleware(http.HandlerFunc(orders)))

	for _, authorization := range []string{"Bearer " + os.Getenv("TOKEN"), "Bearer made-up"} {
		r := httptest.NewRequest(http.MethodGet, "/orders", nil)
		r.Header.Set("Authorization", authorization)
		recorder := httptest.NewRecorder()
		mux.ServeHTTP(recorder, r)
		fmt.Println(recorder.Code, recorder.Body)
	}
	// With the token of the first user it prints:
	// 200 orders of user 1
	//
	// 401 {"type":"urn:wxlogin:problem:invalid_token","title":"Invalid token","status":401, …
}

// The examples print what they say, against the real server. They have no Output comment of go test, because they need its
// address and a token.
func TestExamples(t *testing.T) {
	s := startSystem(t)
	t.Setenv("WXLOGIN_INTERNAL", s.Internal())
	t.Setenv("INTERNAL_API_KEY", servertest.APIKey)
	t.Setenv("TOKEN", s.Login(t, alice))
	for name, test := range map[string]struct {
		example func()
		begins  string
	}{
		"Introspect": {ExampleClient_Introspect, "user 1 of wx000000000000demo\n"},
		"Middleware": {ExampleClient_Middleware, "200 orders of user 1\n\n401 {\"type\":\"urn:wxlogin:problem:invalid_token\""},
	} {
		t.Run(name, func(t *testing.T) {
			if out := printed(t, test.example); !strings.HasPrefix(out, test.begins) {
				t.Errorf("it prints %q, not %q", out, test.begins)
			}
		})
	}
}

// printed returns what an example prints.
func printed(t *testing.T, example func()) string {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "stdout"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	stdout := os.Stdout
	defer func() { os.Stdout = stdout }()
	os.Stdout = file
	example()
	out, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
