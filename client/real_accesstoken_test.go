package client_test

import (
	"errors"
	"testing"

	"wxlogin/client"
	"wxlogin/internal/config"
	"wxlogin/internal/testenv/servertest"
)

func TestClient_AccessToken(t *testing.T) {
	s := startSystem(t, func(c *config.Config) { c.AccessTokenAPI = true })
	for _, appID := range []string{"", servertest.AppID} {
		token, expiresIn, err := s.client.AccessToken(t.Context(), appID)
		if err != nil || token == "" || expiresIn <= 0 {
			t.Fatalf("%d characters for %v, %v", len(token), expiresIn, err)
		}
		again, _, err := s.client.AccessToken(t.Context(), appID)
		if err != nil || again != token {
			t.Errorf("the next call has another one, %v", err)
		}
	}
	refused, _, err := s.client.AccessToken(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	replaced, expiresIn, err := s.client.RefreshAccessToken(t.Context(), servertest.AppID, refused)
	if err != nil || replaced == refused || expiresIn <= 0 {
		t.Errorf("replaced: %v, for %v, %v", replaced != refused, expiresIn, err)
	}
	late, _, err := s.client.RefreshAccessToken(t.Context(), servertest.AppID, refused)
	if err != nil || late != replaced {
		t.Errorf("a service that comes late replaces the new one: %v, %v", late != replaced, err)
	}
	if _, _, err := s.client.AccessToken(t.Context(), "wx0000000000000000"); !errors.Is(err, client.ErrInvalidRequest) {
		t.Errorf("another mini-program: %v", err)
	}
}

func TestClient_AccessToken_Off(t *testing.T) {
	s := startSystem(t)
	if _, _, err := s.client.AccessToken(t.Context(), ""); !errors.Is(err, client.ErrNotFound) {
		t.Error(err)
	}
}
