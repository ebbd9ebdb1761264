package demopage

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestRequestPairs(t *testing.T) {
	const boundary = "--x\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\nT\r\n--x\r\n" +
		"Content-Disposition: form-data; name=\"file\"; filename=\"a.jpg\"\r\n\r\nJPEG\r\n--x--\r\n"
	for name, tt := range map[string]struct {
		target, contentType, body string
		want                      []pair
	}{
		"form":      {"/onLogin", "application/x-www-form-urlencoded", "code=a%2Bb&appid=wx", []pair{{"code", "a+b"}, {"appid", "wx"}}},
		"json":      {"/onLogin", "application/json", `{"code":"c","n":12345678901234567890}`, []pair{{"code", "c"}, {"n", "12345678901234567890"}}},
		"query":     {"/sns/jscode2session?js_code=c&secret=s", "", "", []pair{{"js_code", "c"}, {"secret", "s"}}},
		"multipart": {"/uploadAvatar", "multipart/form-data; boundary=x", boundary, []pair{{"token", "T"}, {fileSize, "4 bytes"}}},
		"cut_off":   {"/uploadAvatar", "multipart/form-data; boundary=x", boundary[:20], nil},
		"malformed": {"/onLogin", "application/x-www-form-urlencoded", "code=%zz&a=b", []pair{{"a", "b"}}},
		"binary":    {"/onLogin", "", "\xff\xfe", []pair{{bodySize, "2 bytes"}}},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, tt.target, strings.NewReader(tt.body))
			r.Header.Set("Content-Type", tt.contentType)
			if got := requestPairs(r, []byte(tt.body)); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestRequestPairs_token_of_the_header(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/userInfo", nil)
	r.Header.Set("Authorization", "Bearer T")
	if got := requestPairs(r, nil); !slices.Equal(got, []pair{{"token", "T"}}) {
		t.Errorf("got %q", got)
	}
}

func TestAnswerPairs(t *testing.T) {
	header := http.Header{"Retry-After": {"2"}}
	body := `{"status":200,"userInfo":{"nickName":"小明","gender":1},"list":[true,null,{}],"none":{}}`
	want := []pair{
		{"Retry-After", "2"}, {"status", "200"}, {"userInfo.nickName", "小明"}, {"userInfo.gender", "1"},
		{"list.0", "true"}, {"list.1", "null"},
	}
	if got := answerPairs(header, []byte(body)); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := answerPairs(nil, []byte("<html>")); !slices.Equal(got, []pair{{bodySize, "6 bytes"}}) {
		t.Errorf("got %q", got)
	}
	if got := answerPairs(nil, []byte("{"+strings.Repeat(`"a":1,`, 500)+`"b":2}`)); len(got) != maxFields {
		t.Errorf("%d fields of a long answer", len(got))
	}
}

func TestRedact_shows_only_what_is_listed(t *testing.T) {
	const secret = "do-not-show-this"
	n := newNames()
	for _, kind := range []string{kindWx, kindHTTP, kindWeChat} {
		for _, name := range []string{
			"token", "secret", "session_key", "openid", "unionid", "access_token", "js_code", "encryptedData", "iv", "rawData",
			"signature", "data", "phone_info.phoneNumber", "phone_info.purePhoneNumber", "new.field", "",
		} {
			pairs := []pair{{name, secret}}
			for _, fields := range [][]field{n.redact(pairs, shownRequest[kind], nil), n.redact(pairs, shownAnswer[kind], nil)} {
				if fields[0].Value != "" || fields[0].Secret == "" || fields[0].Length != len(secret) {
					t.Errorf("%s: the field %q is shown", kind, name)
				}
			}
		}
	}
	code := []pair{{"code", secret}}
	if got := n.redact(code, shownRequest[kindHTTP], nil); got[0].Value != "" {
		t.Error("the code of a request is shown")
	}
	if got := n.redact(code, shownAnswer[kindWx], map[string]string{"code": "phone code"}); got[0].Value != "" {
		t.Error("the code that a phone is given is shown")
	}
	if got := n.redact([]pair{{"code", "invalid_code"}}, shownAnswer[kindHTTP], nil); got[0].Value != "invalid_code" {
		t.Error("the code of a problem is hidden")
	}
}

// Whatever crosses the wire, it ends in an event that can be sent, and only listed names come with their value.
func FuzzEvent(f *testing.F) {
	f.Add("application/json", []byte(`{"token":"T","userInfo":{"nickName":"x"},"a":[1,{"b":null}]}`))
	f.Add("application/x-www-form-urlencoded", []byte("code=c&token=%41&=&appid"))
	f.Add("multipart/form-data; boundary=x", []byte("--x\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\nT\r\n--x--"))
	f.Add("application/json", []byte(strings.Repeat("[", 100)))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		r := httptest.NewRequest(http.MethodPost, "/onLogin", nil)
		r.Header.Set("Content-Type", contentType)
		n := newNames()
		for _, shown := range []map[string]bool{shownRequest[kindHTTP], shownAnswer[kindHTTP]} {
			fields := append(n.redact(requestPairs(r, body), shown, nil), n.redact(answerPairs(r.Header, body), shown, nil)...)
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
