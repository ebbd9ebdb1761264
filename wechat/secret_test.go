package wechat_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"wxlogin/wechat"
)

func TestSecret(t *testing.T) {
	t.Run("is not printed, logged or marshalled", func(t *testing.T) {
		session := wechat.Session{OpenID: "o1", UnionID: "o2", SessionKey: testKey}
		options := wechat.Options{AppID: testAppID, Secret: testSecret}
		client := newClient(t, options)
		number := wechat.PhoneNumber{CountryCode: "86", Number: testNumber}
		for name, v := range map[string]any{
			"session": session, "session pointer": &session, "session within": struct{ S wechat.Session }{session},
			"phone": number, "phone pointer": &number, "phone within": struct{ P wechat.PhoneNumber }{number},
			"options": options, "options pointer": &options, "client": client,
			"secret": wechat.Secret(testSecret), "secret within": struct{ S wechat.Secret }{testSecret},
			"secrets": []wechat.Secret{testSecret},
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
	})

	t.Run("keeps its value", func(t *testing.T) {
		s := wechat.Session{OpenID: "o1", UnionID: "o2", SessionKey: testKey}
		if got, want := fmt.Sprintf("%+v", s), `{OpenID:o1 UnionID:o2 SessionKey:[redacted]}`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if string(s.SessionKey) != testKey {
			t.Error("the value is lost")
		}
		var config struct{ Secret wechat.Secret }
		if err := json.Unmarshal([]byte(`{"Secret":"`+testSecret+`"}`), &config); err != nil || config.Secret != testSecret {
			t.Errorf("read from JSON: %v", err)
		}
		if text, err := json.Marshal(config); err != nil || string(text) != `{"Secret":"[redacted]"}` {
			t.Errorf("got %s, %v", text, err)
		}
	})
}
