package client_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"testing"

	"wxlogin/client"
	"wxlogin/internal/testenv/servertest"
)

// A service follows what happens to users. It runs this from time to time, and stores the number of the last change in the
// same transaction as what it does about it.
func ExampleClient_Changes() {
	login, err := client.New(client.Options{
		BaseURL: os.Getenv("WXLOGIN_INTERNAL"), // such as http://127.0.0.1:9090
		APIKey:  os.Getenv("INTERNAL_API_KEY"),
	})
	if err != nil {
		log.Fatal(err)
	}
	last := uint64(0) // from the service's own database
	for change, err := range login.Changes(context.Background(), last) {
		if err != nil {
			fmt.Println("go on later:", err)
			break
		}
		switch change.Kind {
		case client.ChangeMerged:
			fmt.Println("move the orders of user", change.UserID, "to user", change.SurvivorID)
		case client.ChangeErased:
			fmt.Println("delete the orders of user", change.UserID)
		}
		last = change.Seq
	}
	fmt.Println("next time after change", last)
	// After the first user was erased it prints:
	// delete the orders of user 1
	// next time after change 1
}

func ExampleClient_User() {
	login, err := client.New(client.Options{
		BaseURL: os.Getenv("WXLOGIN_INTERNAL"), // such as http://127.0.0.1:9090
		APIKey:  os.Getenv("INTERNAL_API_KEY"),
	})
	if err != nil {
		log.Fatal(err)
	}
	user, err := login.User(context.Background(), 1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(user.ID, user.Status)
	// It prints:
	// 1 active
}

func TestExamples_Users(t *testing.T) {
	s := startSystem(t)
	t.Setenv("WXLOGIN_INTERNAL", s.Internal())
	t.Setenv("INTERNAL_API_KEY", servertest.APIKey)
	s.Login(t, alice)
	if out := printed(t, ExampleClient_User); out != "1 active\n" {
		t.Errorf("the user is %q", out)
	}
	if err := s.client.Erase(t.Context(), 1, ""); err != nil {
		t.Fatal(err)
	}
	if out := printed(t, ExampleClient_Changes); out != "delete the orders of user 1\nnext time after change 1\n" {
		t.Errorf("the changes are %q", out)
	}
}
