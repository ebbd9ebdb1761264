package wechat_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"wxlogin/wechat"
)

func TestPrinting_shows_no_secret(t *testing.T) {
	session := wechat.Session{OpenID: "o1", UnionID: "o2", SessionKey: testKey}
	options := wechat.Options{AppID: testAppID, Secret: testSecret}
	client := newClient(t, options)
	number := wechat.PhoneNumber{CountryCode: "86", Number: testNumber}
	for name, v := range map[string]any{
		"session": session, "session_pointer": &session, "session_within": struct{ S wechat.Session }{session},
		"phone": number, "phone_pointer": &number, "phone_within": struct{ P wechat.PhoneNumber }{number},
		"options": options, "options_pointer": &options, "client": client,
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
				fmt.Fprintf(&out, verb+"\n", v)
			}
			slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
			if !strings.HasPrefix(name, "options") { // options hold functions, which JSON refuses
				slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
				text, err := json.Marshal(v)
				if err != nil {
					t.Fatal(err)
				}
				out.Write(text)
			}
			for _, secret := range []string{testSecret, testKey, testNumber, fmt.Sprintf("%x", testKey), fmt.Sprintf("%X", testSecret), fmt.Sprintf("%x", testSecret)} {
				if strings.Contains(out.String(), secret) {
					t.Error("a secret was printed")
				}
			}
		})
	}
}

func TestSession_String_names_the_user(t *testing.T) {
	s := wechat.Session{OpenID: "o1", UnionID: "o2", SessionKey: testKey}
	if got, want := s.String(), `wechat.Session{OpenID:"o1" UnionID:"o2" SessionKey:[redacted]}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
