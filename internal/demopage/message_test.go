package demopage

import (
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestRequestText(t *testing.T) {
	for name, tt := range map[string]struct {
		target, contentType, body string
		want                      string
	}{
		"form":      {"/onLogin", formType, "code=a%2Bb&appid=wx", `{"code":"a+b","appid":"wx"}`},
		"json":      {"/onLogin", "application/json", `{"code":"c","n":12345678901234567890}`, `{"code":"c","n":12345678901234567890}`},
		"query":     {"/sns/jscode2session?js_code=c&secret=s", "", "", `{"js_code":"c","secret":"s"}`},
		"both":      {"/wxa?access_token=a", "", ` {"code":"c"} `, `{"access_token":"a","code":"c"}`},
		"multipart": {"/uploadAvatar", "multipart/form-data; boundary=x", "--x--", `{"(body)":"5 bytes"}`},
		"malformed": {"/onLogin", formType, "code=%zz&a=b", `{"a":"b"}`},
		"binary":    {"/onLogin", "", "\xff\xfe", `{"(body)":"2 bytes"}`},
		"empty":     {"/onLogin", "", "{}", `{}`},
		"too long":  {"/onLogin", "", `{"a":"` + strings.Repeat("b", maxMessage) + `"}`, `{"(body)":"65544 bytes"}`},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, tt.target, strings.NewReader(tt.body))
			r.Header.Set("Content-Type", tt.contentType)
			if got := requestText(r, []byte(tt.body)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	t.Run("has the token of the header", func(t *testing.T) {
		r := httptest.NewRequest(http.MethodGet, "/userInfo", nil)
		r.Header.Set("Authorization", "Bearer T")
		if got := requestText(r, nil); got != `{"Authorization":"Bearer T"}` {
			t.Errorf("got %s", got)
		}
	})
}

func TestWithOpened(t *testing.T) {
	if got := withOpened(`{"Encrypt":"e"}`, []byte(`{"Event":"x"}`)); got != `{"Encrypt":"e","(decrypted)":{"Event":"x"}}` {
		t.Errorf("got %s", got)
	}
	if got := withOpened(`{}`, nil); got != `{}` {
		t.Errorf("got %s", got)
	}
}

func TestResponseText(t *testing.T) {
	header := http.Header{"Retry-After": {"2"}}
	for body, want := range map[string]string{
		`{"status":200,"userInfo":{"nickName":"小明"}}`: `{"Retry-After":"2","status":200,"userInfo":{"nickName":"小明"}}`,
		"<html>": `{"Retry-After":"2","(body)":"6 bytes"}`,
	} {
		if got := responseText(header, []byte(body)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestReplacer(t *testing.T) {
	const message = `{"a":{"b":"x","n":1.50,"none":null},"list":[true,"x",{}],"empty":""}`
	replace := replacer(func(path, value string) (string, bool) { return path, value == "x" || path == "a.none" })
	want := `{"a":{"b":"a.b","n":1.50,"none":null},"list":[true,"list",{}],"empty":""}`
	if got := string(replace.rewrite(message)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

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
	if got, _ := p.replacer(nil, nil)("Authorization", "Bearer a"); got != "Bearer <token 1>" {
		t.Errorf("the header is %q", got)
	}
}

func TestPseudonyms_Replacer(t *testing.T) {
	const secret = "do-not-show-this"
	p := newPseudonyms()
	hides := func(shown map[string]bool, kinds map[string]string, name string) bool {
		replacement, hidden := p.replacer(shown, kinds)(name, secret)
		return hidden && !strings.Contains(replacement, secret)
	}
	for _, kind := range []string{kindWx, kindHTTP, kindWeChat, kindPush} {
		for _, name := range []string{
			"Authorization", "token", "secret", "session_key", "openid", "unionid", "access_token", "js_code", "encryptedData", "iv",
			"rawData", "signature", "data", "phone_info.phoneNumber", "phone_info.purePhoneNumber", "new.field", "", "msg_signature", "Encrypt", "(decrypted).OpenID", "(decrypted).FromUserName",
		} {
			if !hides(shownRequest[kind], nil, name) || !hides(shownResponse[kind], nil, name) {
				t.Errorf("%s: the field %q is shown", kind, name)
			}
		}
	}
	if !hides(shownRequest[kindHTTP], nil, "code") {
		t.Error("the code of a request is shown")
	}
	if !hides(shownResponse[kindWx], map[string]string{"code": "phone code"}, "code") {
		t.Error("the code of a phone is shown")
	}
	if hides(shownResponse[kindHTTP], nil, "code") {
		t.Error("the code of a problem is hidden")
	}
}

// Any message results in an event that can be encoded, in which nothing but listed fields and pseudonyms is shown.
func FuzzEvent(f *testing.F) {
	f.Add("application/json", []byte(`{"token":"T","userInfo":{"nickName":"x"},"a":[1,{"b":null}]}`))
	f.Add(formType, []byte("code=c&token=%41&=&appid"))
	f.Add("multipart/form-data; boundary=x", []byte("--x\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\nT\r\n--x--"))
	f.Add("application/json", []byte(`{"a":`+strings.Repeat("[", 100)+strings.Repeat("]", 100)+"}"))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		r := httptest.NewRequest(http.MethodPost, "/onLogin", nil)
		r.Header.Set("Content-Type", contentType)
		p := newPseudonyms()
		hidden := func(path, value string) (string, bool) { // looks at what is left
			if !shownResponse[kindHTTP][path] && value != "" && !strings.HasPrefix(value, "<") && !strings.HasPrefix(value, "Bearer <") {
				t.Fatalf("the field %q is shown", path)
			}
			return "", false
		}
		for _, text := range []string{requestText(r, body), responseText(r.Header, body)} {
			data := p.replacer(shownResponse[kindHTTP], nil).rewrite(text)
			replacer(hidden).rewrite(string(data))
			if _, err := json.Marshal(event{Data: data, plain: json.RawMessage(text)}); err != nil {
				t.Fatal(err)
			}
		}
	})
}
