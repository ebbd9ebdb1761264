package wechat_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

func encode64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// Decoded bytes are encoded to the same base64, apart from the repairs.
func FuzzDecodeBase64(f *testing.F) {
	for _, s := range []string{"", "AA==", "AA", "+/+/", "-_ /", "A\r\nA\t==", "AA=", "AB==", "====", "%3D"} {
		f.Add(s)
	}
	repair := strings.NewReplacer(" ", "+", "-", "+", "_", "/", "\r", "", "\n", "", "\t", "")
	f.Fuzz(func(t *testing.T, s string) {
		raw, err := wechat.DecodeBase64(s)
		if err != nil {
			return
		}
		if got, want := strings.TrimRight(encode64(raw), "="), strings.TrimRight(repair.Replace(s), "="); got != want {
			t.Errorf("%q was read as %q", s, got)
		}
	})
}

// Decrypt never panics, and its error is always ErrDecrypt.
func FuzzDecrypt(f *testing.F) {
	sample := loadOfficialSamples(f).OpenData
	f.Add(sample.SessionKey, sample.EncryptedData, sample.IV)
	f.Add(sample.SessionKey, sample.EncryptedData, "AAAA")
	f.Add(sample.SessionKey, "AAAA", sample.IV)
	f.Add("", "", "")
	f.Fuzz(func(t *testing.T, key, data, iv string) {
		plain, err := wechat.Decrypt(key, data, iv)
		if err != nil && (err != wechat.ErrDecrypt || plain != nil) {
			t.Errorf("got %q, %v", plain, err)
		}
		want := wechat.Owner{AppID: sample.AppID, OpenID: "o1"}
		if _, err := wechat.DecryptUserInfo(key, data, iv, want); err != nil && err != wechat.ErrDecrypt {
			t.Error(err)
		}
	})
}

// Encrypted data can be decrypted, and DecryptUserInfo accepts or refuses any plaintext.
func FuzzDecryptUserInfo(f *testing.F) {
	f.Add([]byte(loadOfficialSamples(f).OpenData.Plaintext))
	f.Add([]byte(`{"phoneNumber":"1","watermark":{"appid":"` + testAppID + `"}}`))
	f.Add([]byte(`{"nickName":null}`))
	f.Add([]byte(``))
	f.Fuzz(func(t *testing.T, plain []byte) {
		if len(plain) > 60<<10 {
			return
		}
		data, iv := wechattest.Seal(testKey, plain)
		got, err := wechat.Decrypt(testKey, data, iv)
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("got %q, %v", got, err)
		}
		info, err := wechat.DecryptUserInfo(testKey, data, iv, wechat.Owner{AppID: testAppID, OpenID: "o1"})
		if err != nil && err != wechat.ErrDecrypt {
			t.Error(err)
		}
		if err == nil && (info.Watermark.AppID != testAppID || info.OpenID != "" && info.OpenID != "o1") {
			t.Errorf("decrypted %+v", info)
		}
	})
}

// Any response is a complete session or an *Error.
func FuzzClient_Code2Session(f *testing.F) {
	f.Add(200, []byte(goodResponse))
	f.Add(200, []byte(busyResponse))
	f.Add(200, []byte(`{"errcode":40029,"errmsg":"invalid code, rid: 652d44d0-1d0af18b-5b069232"}`))
	f.Add(200, []byte(`{"errcode":1e400}`))
	f.Add(200, []byte("\ufeff{\"openid\":\"o1\",\"session_key\":\"tiihtNczf5v6AKRyjwEUhQ==\",\"unionid\":\"\xff\n\"}"))
	f.Add(200, []byte(` {"openid":5,"errcode":-1}`))
	f.Add(200, []byte(`{"openid":"o1"}x`))
	f.Add(200, []byte(`null`))
	f.Add(502, []byte(`<html>`))
	f.Add(0, []byte(nil))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		client := newClient(t, wechat.Options{
			Timeout: 20 * time.Millisecond, // no pause fits into it
			Transport: roundTrip(func(*http.Request) (*http.Response, error) {
				return response(status, string(body)), nil
			}),
		})
		s, err := client.Code2Session(t.Context(), testCode)
		if err == nil {
			key, keyErr := wechat.DecodeBase64(string(s.SessionKey))
			if s.OpenID == "" || keyErr != nil || len(key) != 16 || status != 200 {
				t.Errorf("got %v", s)
			}
			return
		}
		e, ok := errors.AsType[*wechat.Error](err)
		if !ok || s != (wechat.Session{}) || wechat.KindOf(err) == wechat.KindUnknown {
			t.Fatalf("got %v, %v", s, err)
		}
		var object map[string]json.RawMessage
		isObject := json.Unmarshal(body, &object) == nil && object != nil
		if want := status == 200 && e.ErrCode == 0; isObject && (e.Kind == wechat.KindUnusable) != want {
			t.Errorf("%q is %s", body, e.Kind)
		}
		assertClean(t, err, testSecret, testCode)
	})
}
