package demopage

import (
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestPseudonyms(t *testing.T) {
	p := newPseudonyms()
	for _, tt := range []struct{ kind, value, want string }{
		{"token", "a", "token 1"}, {"token", "b", "token 2"}, {"code", "c", "code 1"}, {"token", "a", "token 1"},
		{"Authorization", "b", "token 2"}, // the same value in another field
	} {
		if got := p.pseudonym(tt.kind, tt.value); got != tt.want {
			t.Errorf("%s %s is %q, want %q", tt.kind, tt.value, got, tt.want)
		}
	}
	hash := sha256.Sum256([]byte("b"))
	if got := p.pseudonymOfHash(hash[:]); got != "token 2" {
		t.Errorf("by hash, got %q", got)
	}
	if got := p.pseudonymOfHash([]byte("short")); got != "" {
		t.Errorf("for an invalid hash, got %q", got)
	}
}

func TestPseudonyms_Redact(t *testing.T) {
	const secret = "do-not-show-this"
	p := newPseudonyms()
	for _, kind := range []string{kindWx, kindHTTP, kindWeChat} {
		for _, name := range []string{
			"token", "secret", "session_key", "openid", "unionid", "access_token", "js_code", "encryptedData", "iv", "rawData",
			"signature", "data", "phone_info.phoneNumber", "phone_info.purePhoneNumber", "new.field", "",
		} {
			pairs := []pair{{name, secret}}
			for _, fields := range [][]field{p.redact(pairs, shownRequest[kind], nil), p.redact(pairs, shownResponse[kind], nil)} {
				if fields[0].Value != "" || fields[0].Secret == "" || fields[0].Length != len(secret) {
					t.Errorf("%s: the field %q is shown", kind, name)
				}
			}
		}
	}
	code := []pair{{"code", secret}}
	if got := p.redact(code, shownRequest[kindHTTP], nil); got[0].Value != "" {
		t.Error("the code of a request is shown")
	}
	if got := p.redact(code, shownResponse[kindWx], map[string]string{"code": "phone code"}); got[0].Value != "" {
		t.Error("the code of a phone is shown")
	}
	if got := p.redact([]pair{{"code", "invalid_code"}}, shownResponse[kindHTTP], nil); got[0].Value != "invalid_code" {
		t.Error("the code of a problem is hidden")
	}
}

// Any message results in an event that can be encoded, and only listed fields are shown with their value.
func FuzzEvent(f *testing.F) {
	f.Add("application/json", []byte(`{"token":"T","userInfo":{"nickName":"x"},"a":[1,{"b":null}]}`))
	f.Add("application/x-www-form-urlencoded", []byte("code=c&token=%41&=&appid"))
	f.Add("multipart/form-data; boundary=x", []byte("--x\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\nT\r\n--x--"))
	f.Add("application/json", []byte(strings.Repeat("[", 100)))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		r := httptest.NewRequest(http.MethodPost, "/onLogin", nil)
		r.Header.Set("Content-Type", contentType)
		p := newPseudonyms()
		for _, shown := range []map[string]bool{shownRequest[kindHTTP], shownResponse[kindHTTP]} {
			fields := append(p.redact(requestPairs(r, body), shown, nil), p.redact(responsePairs(r.Header, body), shown, nil)...)
			if len(fields) > 2*maxFields {
				t.Fatalf("%d fields", len(fields))
			}
			for _, field := range fields {
				if field.Value != "" && (field.Secret != "" || !shown[field.Name]) {
					t.Fatalf("the field %q is shown", field.Name)
				}
			}
			if _, err := json.Marshal(event{Fields: fields}); err != nil {
				t.Fatal(err)
			}
		}
	})
}
