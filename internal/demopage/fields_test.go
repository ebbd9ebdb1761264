package demopage

import (
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
		"cut off":   {"/uploadAvatar", "multipart/form-data; boundary=x", boundary[:20], nil},
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

func TestRequestPairs_AuthorizationHeader(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/userInfo", nil)
	r.Header.Set("Authorization", "Bearer T")
	if got := requestPairs(r, nil); !slices.Equal(got, []pair{{"token", "T"}}) {
		t.Errorf("got %q", got)
	}
}

func TestResponsePairs(t *testing.T) {
	header := http.Header{"Retry-After": {"2"}}
	body := `{"status":200,"userInfo":{"nickName":"小明","gender":1},"list":[true,null,{}],"none":{}}`
	want := []pair{
		{"Retry-After", "2"}, {"status", "200"}, {"userInfo.nickName", "小明"}, {"userInfo.gender", "1"},
		{"list.0", "true"}, {"list.1", "null"},
	}
	if got := responsePairs(header, []byte(body)); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := responsePairs(nil, []byte("<html>")); !slices.Equal(got, []pair{{bodySize, "6 bytes"}}) {
		t.Errorf("got %q", got)
	}
	if got := responsePairs(nil, []byte("{"+strings.Repeat(`"a":1,`, 500)+`"b":2}`)); len(got) != maxFields {
		t.Errorf("%d fields of a long response", len(got))
	}
}
