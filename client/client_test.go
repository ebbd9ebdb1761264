package client_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"wxlogin/client"
)

func TestNew_InvalidOptions(t *testing.T) {
	for name, o := range map[string]client.Options{
		"no address":        {},
		"address by name":   {BaseURL: "127.0.0.1:9090"},
		"no host":           {BaseURL: "http://:9090"},
		"another scheme":    {BaseURL: "ftp://login:9090"},
		"password":          {BaseURL: "http://user:" + secret + "@login:9090"},
		"query":             {BaseURL: "http://login:9090?key=" + secret},
		"key with a break":  {BaseURL: "http://login:9090", APIKey: secret + "\n"},
		"negative timeout":  {BaseURL: "http://login:9090", Timeout: -time.Second},
		"cache for an hour": {BaseURL: "http://login:9090", CacheTTL: time.Hour},
		"negative cache":    {BaseURL: "http://login:9090", CacheTTL: -1},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := client.New(o)
			if err == nil || c != nil {
				t.Fatal("accepted")
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
	t.Run("all errors at once", func(t *testing.T) {
		_, err := client.New(client.Options{APIKey: " ", Timeout: -1, CacheTTL: -1})
		for _, option := range []string{"BaseURL", "APIKey", "Timeout", "CacheTTL"} {
			if err == nil || !strings.Contains(err.Error(), option) {
				t.Errorf("nothing about %s in: %v", option, err)
			}
		}
	})
}

// secret is what must not be shown: an API key here.
const secret = "a-secret-of-the-test"

// A program that logs its Client, or what contains it, does not log the key.
func TestClient_PrintsNoKey(t *testing.T) {
	c := newClient(t, client.Options{BaseURL: "http://login:9090", APIKey: secret})
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, *c); strings.Contains(text, secret) {
			t.Errorf("%s prints the key", verb)
		}
	}
}

// stub answers requests in place of a server.
type stub func(r *http.Request) (*http.Response, error)

func (s stub) RoundTrip(r *http.Request) (*http.Response, error) { return s(r) }

// stubbed returns a Client whose requests s answers.
func stubbed(t *testing.T, s stub, change ...func(*client.Options)) *client.Client {
	t.Helper()
	o := client.Options{BaseURL: "http://login:9090", APIKey: secret, HTTPClient: &http.Client{Transport: s}}
	for _, f := range change {
		f(&o)
	}
	return newClient(t, o)
}
