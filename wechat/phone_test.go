package wechat_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

const (
	testToken  = "99_ACCESS-TOKEN_of-some-length"
	testNumber = "13800138000"
	testOpenID = "oGZUI0egBJY1zhBYw2KhdUfwVJJE"
)

// newToken returns the simulator's access_token.
func newToken(t *testing.T, client *wechat.Client) string {
	t.Helper()
	token, _, err := client.StableToken(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestClient_PhoneNumber(t *testing.T) {
	t.Run("exchanges a code", func(t *testing.T) {
		sim, client := startSimulator(t, wechat.Options{})
		token := newToken(t, client)
		for _, user := range []wechattest.User{
			{Name: "alice"},
			{Name: "mei", CountryCode: "852", PhoneNumber: "51234567"},
		} {
			phone := sim.Device(testAppID, user)
			code := phone.PhoneCode()
			got, err := client.PhoneNumber(t.Context(), token, phone.OpenID(), code)
			want := wechat.PhoneNumber{CountryCode: "86", Number: wechat.Secret(phone.PhoneNumber())}
			if user.CountryCode != "" {
				want = wechat.PhoneNumber{CountryCode: user.CountryCode, Number: wechat.Secret(user.PhoneNumber)}
			}
			if err != nil || got != want {
				t.Errorf("%s: not the number: %v", user.Name, err)
			}
			_, err = client.PhoneNumber(t.Context(), token, phone.OpenID(), code)
			if wechat.KindOf(err) != wechat.KindInvalidCode {
				t.Errorf("the second time: %v", err)
			}
			assertClean(t, err, testSecret, code)
			assertClean(t, err, token, phone.PhoneNumber())
		}
	})

	t.Run("refuses another user's code", func(t *testing.T) {
		sim, client := startSimulator(t, wechat.Options{})
		alice, bob := sim.Device(testAppID, wechattest.User{Name: "alice"}), sim.Device(testAppID, wechattest.User{Name: "bob"})
		token, code := newToken(t, client), alice.PhoneCode()
		if _, err := client.PhoneNumber(t.Context(), token, bob.OpenID(), code); wechat.KindOf(err) != wechat.KindInvalidCode {
			t.Errorf("with Bob's openid: %v", err)
		}
		if _, err := client.PhoneNumber(t.Context(), token, alice.OpenID(), code); err != nil {
			t.Error(err)
		}
	})

	// For the code of another mini-program's button, WeChat returns the errcode that means a wrong configuration for
	// other APIs.
	t.Run("refuses another app's code", func(t *testing.T) {
		sim := wechattest.New(wechattest.Options{Apps: map[string]string{testAppID: testSecret, "wxother": "other"}})
		_, client := newClientWith(t, sim, wechat.NewTransport())
		other := sim.Device("wxother", wechattest.User{Name: "alice"})
		alice := sim.Device(testAppID, wechattest.User{Name: "alice"})
		_, err := client.PhoneNumber(t.Context(), newToken(t, client), alice.OpenID(), other.PhoneCode())
		if e, ok := errors.AsType[*wechat.Error](err); !ok || e.ErrCode != 40013 || e.Kind != wechat.KindInvalidCode {
			t.Errorf("got %v", err)
		}
		_, err = client.Code2Session(t.Context(), other.Login())
		if e, ok := errors.AsType[*wechat.Error](err); !ok || e.ErrCode != 40029 || e.Kind != wechat.KindInvalidCode {
			t.Errorf("a login: %v", err)
		}
	})

	t.Run("refuses an invalid code without a call", func(t *testing.T) {
		var calls int
		client := newClient(t, wechat.Options{Transport: cannedResponses(&calls, goodResponse)})
		for name, in := range map[string]struct{ openID, code string }{
			"no code":         {testOpenID, ""},
			"a mock code":     {testOpenID, wechat.MockCode},
			"a long code":     {testOpenID, strings.Repeat("c", 513)},
			"no openid":       {"", testCode},
			"an odd openid":   {"o\"1", testCode},
			"a blank as code": {testOpenID, " "},
		} {
			_, err := client.PhoneNumber(t.Context(), testToken, in.openID, in.code)
			if wechat.KindOf(err) != wechat.KindInvalidCode || calls != 0 {
				t.Errorf("%s: %v after %d calls", name, err, calls)
			}
		}
	})

	// The code is sent in a POST's JSON and the token in its query, with any characters.
	t.Run("sends a POST", func(t *testing.T) {
		const code, token = `c"&appid=x\`, "a&b=c+d"
		var method, contentType, query, body string
		client := newClient(t, wechat.Options{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			text, _ := io.ReadAll(r.Body)
			method, contentType, query, body = r.Method, r.Header.Get("Content-Type"), r.URL.Query().Get("access_token"), string(text)
			return response(http.StatusOK, phoneResponse(`"86"`, testNumber)), nil
		})})
		got, err := client.PhoneNumber(t.Context(), token, testOpenID, code)
		if err != nil || got != (wechat.PhoneNumber{CountryCode: "86", Number: testNumber}) {
			t.Errorf("not the number: %v", err)
		}
		var sent map[string]string
		err = json.Unmarshal([]byte(body), &sent)
		if err != nil || len(sent) != 2 || sent["code"] != code || sent["openid"] != testOpenID {
			t.Errorf("the body is not what WeChat asks for: %v", err)
		}
		if method != http.MethodPost || contentType != "application/json" || query != token {
			t.Errorf("%s of %s, the token arrived: %t", method, contentType, query == token)
		}
	})
}

func phoneResponse(countryCode, number string) string {
	return `{"errcode":0,"errmsg":"ok","phone_info":{"phoneNumber":"+86` + number + `","purePhoneNumber":"` + number +
		`","countryCode":` + countryCode + `,"watermark":{"timestamp":1637744274,"appid":"` + testAppID + `"}}}`
}

func TestClient_PhoneNumberResponses(t *testing.T) {
	for name, test := range map[string]struct {
		body string
		good bool
	}{
		"country code as text":     {phoneResponse(`"86"`, testNumber), true},
		"country code as number":   {phoneResponse(`86`, testNumber), true},
		"longest":                  {phoneResponse(`"1234"`, strings.Repeat("1", 20)), true},
		"too long":                 {phoneResponse(`"86"`, strings.Repeat("1", 21)), false},
		"long country code":        {phoneResponse(`"12345"`, testNumber), false},
		"no country code":          {phoneResponse(`""`, testNumber), false},
		"negative country code":    {phoneResponse(`-86`, testNumber), false},
		"fractional country code":  {phoneResponse(`8.6`, testNumber), false},
		"country code in words":    {phoneResponse(`"China"`, testNumber), false},
		"country code as a list":   {phoneResponse(`[86]`, testNumber), false},
		"no number":                {phoneResponse(`"86"`, ""), false},
		"number with other signs":  {phoneResponse(`"86"`, "138-0013-8000"), false},
		"number in foreign digits": {phoneResponse(`"86"`, "１３８"), false},
		"null":                     {`{"errcode":0,"phone_info":null}`, false},
		"nothing":                  {`{}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			var calls int
			client := newClient(t, wechat.Options{Transport: cannedResponses(&calls, test.body)})
			_, err := client.PhoneNumber(t.Context(), testToken, testOpenID, testCode)
			if (err == nil) != test.good || calls != 1 {
				t.Fatalf("%v after %d calls", err, calls)
			}
			if err != nil && wechat.KindOf(err) != wechat.KindUnusable {
				t.Errorf("%v, want an unusable response", err)
			}
		})
	}
}

// A code that WeChat may have spent is not sent again, neither on a new connection nor on a reused one.
func TestClient_PhoneNumberNoRetry(t *testing.T) {
	sim, client := startSimulator(t, wechat.Options{})
	phone := sim.Device(testAppID, wechattest.User{Name: "alice"})
	token := newToken(t, client)
	for _, fault := range []wechattest.Fault{
		wechattest.Dropped, wechattest.DroppedAfter, wechattest.BadGateway, wechattest.BrokenJSON,
	} {
		for range 2 {
			before := sim.Stats().PhoneCalls
			sim.FailAPI(wechattest.PhoneNumbers, fault)
			_, err := client.PhoneNumber(t.Context(), token, phone.OpenID(), phone.PhoneCode())
			if n := sim.Stats().PhoneCalls - before; wechat.KindOf(err) != wechat.KindUnavailable || n != 1 {
				t.Errorf("%s: %v after %d calls", fault, err, n)
			}
			if _, err := client.PhoneNumber(t.Context(), token, phone.OpenID(), phone.PhoneCode()); err != nil {
				t.Error(err)
			}
		}
	}
	sim.FailAPI(wechattest.PhoneNumbers, wechattest.Busy)
	if _, err := client.PhoneNumber(t.Context(), token, phone.OpenID(), phone.PhoneCode()); err != nil {
		t.Errorf("after WeChat was busy once: %v", err)
	}
}

func TestIsInvalidToken(t *testing.T) {
	sim, client := startSimulator(t, wechat.Options{})
	phone := sim.Device(testAppID, wechattest.User{Name: "alice"})
	token := newToken(t, client)
	for errCode, want := range map[int]bool{40001: true, 40014: true, 42001: true, 40029: false, 48001: false, 99999: false} {
		sim.FailAPI(wechattest.PhoneNumbers, wechattest.ErrCode(errCode))
		_, err := client.PhoneNumber(t.Context(), token, phone.OpenID(), phone.PhoneCode())
		if wechat.IsInvalidToken(err) != want || want && wechat.KindOf(err) != wechat.KindMisconfigured {
			t.Errorf("%d: %t, want %t: %v", errCode, !want, want, err)
		}
	}
	if wechat.IsInvalidToken(nil) || wechat.IsInvalidToken(io.EOF) {
		t.Error("what is no error of WeChat's refuses a token")
	}
	sim.ExpireAccessTokens()
	code := phone.PhoneCode()
	if _, err := client.PhoneNumber(t.Context(), token, phone.OpenID(), code); !wechat.IsInvalidToken(err) {
		t.Errorf("an expired token: %v", err)
	}
	if _, err := client.PhoneNumber(t.Context(), newToken(t, client), phone.OpenID(), code); err != nil {
		t.Errorf("the code is spent by a refused token: %v", err)
	}
}

func TestDecryptPhoneNumber(t *testing.T) {
	sim := wechattest.New(wechattest.Options{Apps: map[string]string{testAppID: testSecret}})
	for _, user := range []wechattest.User{
		{Name: "alice", PhoneNumber: testNumber}, {Name: "mei", CountryCode: "852", PhoneNumber: "51234567"},
	} {
		phone := sim.Device(testAppID, user)
		data := phone.GetPhoneNumber()
		got, err := wechat.DecryptPhoneNumber(phone.SessionKey(), data.EncryptedData, data.IV, wechat.Owner{AppID: testAppID})
		if err != nil || string(got.Number) != user.PhoneNumber || user.CountryCode != "" && got.CountryCode != user.CountryCode {
			t.Errorf("%s: not the number: %v", user.Name, err)
		}
		for name, appID := range map[string]string{"another app": "wxother", "no app": ""} {
			_, err := wechat.DecryptPhoneNumber(phone.SessionKey(), data.EncryptedData, data.IV, wechat.Owner{AppID: appID})
			if err != wechat.ErrDecrypt {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestDecryptPhoneNumber_Errors(t *testing.T) {
	const (
		watermark = `"watermark":{"timestamp":1637744274,"appid":"` + testAppID + `"}`
		number    = `"phoneNumber":"+8613800138000","purePhoneNumber":"13800138000","countryCode":"86"`
	)
	for name, plain := range map[string]string{
		"a profile":              `{"nickName":"x",` + watermark + `}`,
		"a number in a profile":  `{"nickName":"x",` + number + `,` + watermark + `}`,
		"a number and a gender":  `{` + number + `,"gender":0,` + watermark + `}`,
		"a number and an openid": `{"openId":"o1",` + number + `,` + watermark + `}`,
		"no pure number":         `{"phoneNumber":"13800138000","countryCode":"86",` + watermark + `}`,
		"only the pure number":   `{"purePhoneNumber":"13800138000","countryCode":"86",` + watermark + `}`,
		"numbers that differ":    `{"phoneNumber":"13900","purePhoneNumber":"13800","countryCode":"86",` + watermark + `}`,
		"no country code":        `{"phoneNumber":"13800138000","purePhoneNumber":"13800138000",` + watermark + `}`,
		"no watermark":           `{` + number + `}`,
		"no time":                `{` + number + `,"watermark":{"timestamp":0,"appid":"` + testAppID + `"}}`,
		"no JSON":                `13800138000`,
		"nothing":                ``,
	} {
		data, iv := wechattest.Seal(testKey, []byte(plain))
		got, err := wechat.DecryptPhoneNumber(testKey, data, iv, wechat.Owner{AppID: testAppID})
		if err != wechat.ErrDecrypt || got != (wechat.PhoneNumber{}) {
			t.Errorf("%s: %v", name, err)
		}
	}
	data, iv := wechattest.Seal(testKey, []byte(`{`+number+`,`+watermark+`}`))
	if _, err := wechat.DecryptPhoneNumber(testKey, data, iv, wechat.Owner{AppID: testAppID}); err != nil {
		t.Fatalf("the complete one: %v", err)
	}
	for name, args := range map[string][3]string{
		"another key": {"AAAAAAAAAAAAAAAAAAAAAA==", data, iv},
		"a short iv":  {testKey, data, "AAAA"},
		"cut data":    {testKey, data[:64], iv},
	} {
		_, err := wechat.DecryptPhoneNumber(args[0], args[1], args[2], wechat.Owner{AppID: testAppID})
		if err != wechat.ErrDecrypt {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDecryptPhoneNumber_ForgedFromProfile(t *testing.T) {
	forged, iv := forgeFromProfile(t, `{"phoneNumber":"`, "13900139000")
	_, err := wechat.DecryptPhoneNumber(testKey, forged, iv, wechat.Owner{AppID: testAppID})
	if err != wechat.ErrDecrypt {
		t.Errorf("a forged phone number was taken: %v", err)
	}
}

// Any plaintext is a phone number or refused.
func FuzzDecryptPhoneNumber(f *testing.F) {
	f.Add([]byte(loadOfficialSamples(f).OpenData.Plaintext))
	f.Add([]byte(`{"phoneNumber":"+8613","purePhoneNumber":"13","countryCode":86,` +
		`"watermark":{"timestamp":1,"appid":"` + testAppID + `"}}`))
	f.Add([]byte(`{"phoneNumber":null}`))
	f.Add([]byte(``))
	f.Fuzz(func(t *testing.T, plain []byte) {
		if len(plain) > 60<<10 {
			return
		}
		data, iv := wechattest.Seal(testKey, plain)
		got, err := wechat.DecryptPhoneNumber(testKey, data, iv, wechat.Owner{AppID: testAppID})
		if err != nil && err != wechat.ErrDecrypt || (err == nil) != isPhoneNumber(got) {
			t.Error("neither a phone number nor refused as it should be")
		}
	})
}

// Any response is a phone number or an *Error.
func FuzzClient_PhoneNumber(f *testing.F) {
	f.Add(200, []byte(phoneResponse(`"86"`, testNumber)))
	f.Add(200, []byte(phoneResponse(`86`, testNumber)))
	f.Add(200, []byte(`{"errcode":42001,"errmsg":"access_token expired, rid: 652d44d0-1d0af18b-5b069232"}`))
	f.Add(502, []byte(`<html>`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		client := newClient(t, wechat.Options{
			Timeout: 1, // no pause fits into it, and nothing is waited for
			Transport: roundTrip(func(*http.Request) (*http.Response, error) {
				return response(status, string(body)), nil
			}),
		})
		got, err := client.PhoneNumber(t.Context(), testToken, testOpenID, testCode)
		if (err == nil) != isPhoneNumber(got) || err == nil && status != http.StatusOK {
			t.Errorf("neither a phone number nor an error: %v", err)
		}
		if err == nil {
			return
		}
		if _, ok := errors.AsType[*wechat.Error](err); !ok {
			t.Errorf("%T", err)
		}
		assertClean(t, err, testToken, testCode)
	})
}

func isPhoneNumber(p wechat.PhoneNumber) bool {
	digits := func(s string, most int) bool { return s != "" && len(s) <= most && strings.Trim(s, "0123456789") == "" }
	return digits(p.CountryCode, 4) && digits(string(p.Number), 20)
}
