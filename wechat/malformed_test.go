package wechat_test

import (
	"strings"
	"testing"
	"time"

	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

const (
	testMark   = `"watermark":{"timestamp":1637744274,"appid":"` + testAppID + `"}`
	testDigits = `"phoneNumber":"+8613800138000","purePhoneNumber":"13800138000"`
)

func TestDecryptUserInfo_Malformed(t *testing.T) {
	// A malformed field of a profile is dropped; the others are kept.
	t.Run("profiles", func(t *testing.T) {
		named := func(name string) wechat.UserInfo { return wechat.UserInfo{NickName: name} }
		for name, test := range map[string]struct {
			plain string
			want  wechat.UserInfo
		}{
			"raw control characters": {"{\"nickName\":\"a\nb\tc\x01\"," + testMark + "}", named("a\nb\tc\x01")},
			"bytes that are no UTF-8": {"{\"nickName\":\"微\xe4\xbf信\xff\",\"city\":\"\xff\"," + testMark + "}",
				named("微信")},
			"half a surrogate pair":   {`{"nickName":"a\ud83d",` + testMark + `}`, named("a")},
			"the other half":          {`{"nickName":"\ude00\ud83d\ude00",` + testMark + `}`, named("😀")},
			"U+FFFD that WeChat sent": {"{\"nickName\":\"a\ufffd\"," + testMark + "}", named("a\ufffd")},
			"a BOM and white space":   {"\ufeff\r\n{\"nickName\":\"a\"," + testMark + "}\n ", named("a")},
			"a nickname as a number":  {`{"nickName":1234,` + testMark + `}`, named("1234")},
			"a nickname as an object": {`{"nickName":{"a":"b"},"avatarUrl":"https://a.cn/b",` + testMark + `}`, wechat.UserInfo{AvatarURL: "https://a.cn/b"}},
			"an avatar as a list":     {`{"nickName":"a","avatarUrl":["b"],` + testMark + `}`, named("a")},
			"all else odd":            {`{"nickName":"a","gender":{},"city":[],"province":true,"country":null,"language":{},"unionId":7,` + testMark + `}`, named("a")},
			"a unionId with a broken end": {"{\"nickName\":\"a\",\"unionId\":\"o2\xff\"," + testMark + "}",
				named("a")},
			"a gender as a text":       {`{"nickName":"a","gender":"1",` + testMark + `}`, wechat.UserInfo{NickName: "a", Gender: 1}},
			"a gender as a fraction":   {`{"nickName":"a","gender":2.0,` + testMark + `}`, wechat.UserInfo{NickName: "a", Gender: 2}},
			"a gender in words":        {`{"nickName":"a","gender":"male",` + testMark + `}`, named("a")},
			"a gender without end":     {`{"nickName":"a","gender":1e999,` + testMark + `}`, named("a")},
			"names in another case":    {`{"NICKNAME":"a","WaterMark":{"Timestamp":1637744274,"AppId":"` + testAppID + `"}}`, named("a")},
			"a nickname that is twice": {`{"nickName":"a","nickName":"b","nickname":{},` + testMark + `}`, named("b")},
			"an openId that is null":   {`{"nickName":"a","openId":null,` + testMark + `}`, named("a")},
			"fields of other data":     {`{"nickName":"a","is_demote":true,"x":{"openId":"o9","phoneNumber":"1"},` + testMark + `}`, named("a")},
		} {
			t.Run(name, func(t *testing.T) {
				data, iv := wechattest.Seal(testKey, []byte(test.plain))
				got, err := wechat.DecryptUserInfo(testKey, data, iv, wechat.Owner{AppID: testAppID, OpenID: testOpenID})
				test.want.Watermark = wechat.Watermark{Timestamp: 1637744274, AppID: testAppID}
				if err != nil || got != test.want {
					t.Errorf("got %+v, %v", got, err)
				}
				if strings.Contains(got.NickName, "\ufffd") && !strings.Contains(test.plain, "\ufffd") {
					t.Errorf("%q holds what WeChat did not send", got.NickName)
				}
			})
		}
	})

	t.Run("timestamps", func(t *testing.T) {
		for timestamp, want := range map[string]int64{
			`1637744274`: 1637744274, `"1637744274"`: 1637744274, `1637744274.0`: 1637744274, `1.637744274e9`: 1637744274,
			`0`: 0, `-1`: 0, `"-1"`: 0, `1637744274.5`: 0, `1637744274000`: 0, `1e300`: 0, `1e99999`: 0, `9223372036854775808`: 0, `"now"`: 0,
			`""`: 0, `null`: 0, `[1637744274]`: 0, `{"t":1637744274}`: 0, "\"1637744274\xff\"": 0,
			`1,"timestamp":1637744274`: 0, `1637744274,"TimeStamp":1637744274`: 0,
		} {
			plain := `{"nickName":"a","watermark":{"timestamp":` + timestamp + `,"appid":"` + testAppID + `"}}`
			data, iv := wechattest.Seal(testKey, []byte(plain))
			got, err := wechat.DecryptUserInfo(testKey, data, iv, wechat.Owner{AppID: testAppID})
			if got.Watermark.Timestamp != want || (err == nil) != (want != 0) {
				t.Errorf("%s: got %d, %v", timestamp, got.Watermark.Timestamp, err)
			}
		}
	})
}

// The fields that identify the owner and the time are read strictly: nothing is repaired, and duplicates are refused.
func TestDecryptUserInfo_MalformedOwner(t *testing.T) {
	const good, bad = `"` + testAppID + `"`, `"wxother"`
	mark := func(appID string) string { return `"watermark":{"timestamp":1637744274,"appid":` + appID + `}` }
	for name, plain := range map[string]string{
		"another openId":              `{"nickName":"a","openId":"o2",` + mark(good) + `}`,
		"another openId in caps":      `{"nickName":"a","OPENID":"o2",` + mark(good) + `}`,
		"an openId with a broken end": "{\"nickName\":\"a\",\"openId\":\"" + testOpenID + "\xff\"," + mark(good) + "}",
		"an openId with half a pair":  `{"nickName":"a","openId":"` + testOpenID + `\ud83d",` + mark(good) + `}`,
		"an openId with a line end":   "{\"nickName\":\"a\",\"openId\":\"" + testOpenID + "\n\"," + mark(good) + "}",
		"an openId with white space":  `{"nickName":"a","openId":" ` + testOpenID + `",` + mark(good) + `}`,
		"an openId as a number":       `{"nickName":"a","openId":1,` + mark(good) + `}`,
		"an openId as an object":      `{"nickName":"a","openId":{},` + mark(good) + `}`,
		"another openId and the own":  `{"nickName":"a","openId":"o2","openId":"` + testOpenID + `",` + mark(good) + `}`,
		"the own openId and another":  `{"nickName":"a","openId":"` + testOpenID + `","openid":"o2",` + mark(good) + `}`,
		"another app":                 `{"nickName":"a",` + mark(bad) + `}`,
		"an app with a broken end":    "{\"nickName\":\"a\"," + mark("\""+testAppID+"\xff\"") + "}",
		"an app with white space":     `{"nickName":"a",` + mark(`"`+testAppID+` "`) + `}`,
		"an app in another case":      `{"nickName":"a",` + mark(`"`+strings.ToUpper(testAppID)+`"`) + `}`,
		"two apps":                    `{"nickName":"a",` + mark(bad+`,"appid":`+good) + `}`,
		"two apps in two cases":       `{"nickName":"a",` + mark(bad+`,"AppId":`+good) + `}`,
		"two watermarks":              `{"nickName":"a",` + mark(bad) + `,` + mark(good) + `}`,
		"two watermarks in two cases": `{"nickName":"a","WATERMARK":{"timestamp":1},` + mark(good) + `}`,
		"a watermark as a text":       `{"nickName":"a","watermark":"{\"timestamp\":1,\"appid\":\"` + testAppID + `\"}"}`,
		"a watermark in a list":       `{"nickName":"a","watermark":[{"timestamp":1,"appid":"` + testAppID + `"}]}`,
		"a watermark outside":         `{"nickName":"a","timestamp":1637744274,"appid":"` + testAppID + `"}`,
		"a watermark further inside":  `{"nickName":"a","x":{` + mark(good) + `}}`,
		"a garbled watermark":         "{\"nickName\":\"a\",\"water\xffmark\":{\"timestamp\":1637744274,\"appid\":" + good + "}}",
	} {
		t.Run(name, func(t *testing.T) {
			data, iv := wechattest.Seal(testKey, []byte(plain))
			got, err := wechat.DecryptUserInfo(testKey, data, iv, wechat.Owner{AppID: testAppID, OpenID: testOpenID})
			if err != wechat.ErrDecrypt || got != (wechat.UserInfo{}) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

// The formats of a phone number, in WeChat's response and in encrypted data.
func TestPhoneNumber_Formats(t *testing.T) {
	china := wechat.PhoneNumber{CountryCode: "86", Number: testNumber}
	withCode := func(code string) string { return testDigits + `,"countryCode":` + code }
	for name, test := range map[string]struct {
		fields string
		want   wechat.PhoneNumber // none: it cannot be used
	}{
		"a country code as text":          {withCode(`"86"`), china},
		"as a number":                     {withCode(`86`), china},
		"as a fraction":                   {withCode(`86.0`), china},
		"as a fraction in a text":         {withCode(`"86.0"`), china},
		"as a power":                      {withCode(`8.6e1`), china},
		"with a plus":                     {withCode(`"+86"`), china},
		"with zeros":                      {withCode(`"0086"`), china},
		"with white space":                {withCode(`" 86\n"`), china},
		"with a raw line end":             {withCode("\"86\n\""), china},
		"a half":                          {withCode(`86.5`), wechat.PhoneNumber{}},
		"negative":                        {withCode(`-86`), wechat.PhoneNumber{}},
		"too large":                       {withCode(`86000`), wechat.PhoneNumber{}},
		"far too large":                   {withCode(`1e400`), wechat.PhoneNumber{}},
		"zero":                            {withCode(`0`), wechat.PhoneNumber{}},
		"in words":                        {withCode(`"CN"`), wechat.PhoneNumber{}},
		"in foreign digits":               {withCode(`"８６"`), wechat.PhoneNumber{}},
		"in a list":                       {withCode(`["86"]`), wechat.PhoneNumber{}},
		"with a broken byte":              {withCode("\"86\xff\""), wechat.PhoneNumber{}},
		"twice":                           {withCode(`"1","countryCode":"86"`), wechat.PhoneNumber{}},
		"without a country code":          {testDigits, wechat.PhoneNumber{}},
		"numbers as numbers":              {`"phoneNumber":8613800138000,"purePhoneNumber":13800138000,"countryCode":86`, china},
		"no pure number":                  {`"phoneNumber":"+8613800138000","countryCode":"86"`, china},
		"an empty pure number":            {`"phoneNumber":"+8613800138000","purePhoneNumber":"","countryCode":"86"`, china},
		"a pure number that is null":      {`"phoneNumber":"+8613800138000","purePhoneNumber":null,"countryCode":"86"`, china},
		"a pure number in an object":      {`"phoneNumber":"+8613800138000","purePhoneNumber":{"a":"1"},"countryCode":"86"`, china},
		"no pure number, code as number":  {`"phoneNumber":"+8613800138000","countryCode":86`, china},
		"no pure number, another country": {`"phoneNumber":"+85251234567","countryCode":"+852"`, wechat.PhoneNumber{CountryCode: "852", Number: "51234567"}},
		"no pure number, another code":    {`"phoneNumber":"+8613800138000","countryCode":"852"`, wechat.PhoneNumber{}},
		"no pure number and no plus":      {`"phoneNumber":"13800138000","countryCode":"86"`, wechat.PhoneNumber{}},
		"nothing but the code":            {`"phoneNumber":"+86","countryCode":"86"`, wechat.PhoneNumber{}},
		"other signs":                     {`"phoneNumber":"+86138-0013","countryCode":"86"`, wechat.PhoneNumber{}},
		"a number with broken bytes":      {"\"phoneNumber\":\"+8613800138000\",\"purePhoneNumber\":\"138\xff\",\"x\":1,\"countryCode\":\"86\"", wechat.PhoneNumber{}},
		"odd fields beside":               {testDigits + ",\"countryCode\":\"86\",\"x\":\"\xff\n\",\"y\":null", china},
	} {
		t.Run(name, func(t *testing.T) {
			data, iv := wechattest.Seal(testKey, []byte("{"+test.fields+","+testMark+"}"))
			got, err := wechat.DecryptPhoneNumber(testKey, data, iv, wechat.Owner{AppID: testAppID})
			if got != test.want || (err == nil) != (test.want != wechat.PhoneNumber{}) || err != nil && err != wechat.ErrDecrypt {
				t.Errorf("encrypted data: got another number, or %v", err)
			}
			if name == "a number with broken bytes" {
				return // no client can have changed WeChat's response
			}
			var calls int
			client := newClient(t, wechat.Options{Transport: cannedResponses(&calls, `{"errcode":"0","errmsg":[],"phone_info":{`+test.fields+`}}`)})
			got, err = client.PhoneNumber(t.Context(), testToken, testOpenID, testCode)
			if got != test.want || (err == nil) != (test.want != wechat.PhoneNumber{}) || err != nil && wechat.KindOf(err) != wechat.KindUnusable {
				t.Errorf("response: got another number, or %v", err)
			}
		})
	}
}

// The sender of encrypted data can join blocks of two ciphertexts under the same key, with a block of garbage between
// them. If a missing purePhoneNumber were always derived, the sender could choose the number this way.
func TestDecryptPhoneNumber_ForeignFields(t *testing.T) {
	for name, plain := range map[string]string{
		"a garbage name": "{\"phoneNumber\":\"+8613900139000\",\"\x80\xffgarbage\":\"13800138000\",\"countryCode\":\"86\"," + testMark + "}",
		"any name":       `{"phoneNumber":"+8613900139000","x":1,"countryCode":"86",` + testMark + `}`,
		"a pure number that differs": `{"phoneNumber":"+8613900139000","purePhoneNumber":"13800138000","countryCode":"86",` +
			testMark + `}`,
		"a pure number that is garbage": "{\"phoneNumber\":\"+8613900139000\",\"purePhoneNumber\":\"138\xff\x80\",\"countryCode\":\"86\"," +
			testMark + "}",
		"two numbers": `{"phoneNumber":"+8613900139000","phoneNumber":"+8613800138000","purePhoneNumber":"13900139000","countryCode":"86",` +
			testMark + `}`,
	} {
		data, iv := wechattest.Seal(testKey, []byte(plain))
		if _, err := wechat.DecryptPhoneNumber(testKey, data, iv, wechat.Owner{AppID: testAppID}); err != wechat.ErrDecrypt {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStableToken_Formats(t *testing.T) {
	for body, want := range map[string]time.Duration{
		`{"access_token":"a","expires_in":"7200"}`:                              2 * time.Hour,
		`{"access_token":"a","expires_in":7200.0}`:                              2 * time.Hour,
		`{"errcode":"0","errmsg":null,"access_token":"a","expires_in":7.2e3}`:   2 * time.Hour,
		"\ufeff{\"access_token\":\"a\",\"x\":\"\n\xff\",\"expires_in\":7200}\n": 2 * time.Hour,
		`{"access_token":"a","expires_in":7200.5}`:                              0,
		`{"access_token":"a","expires_in":"soon"}`:                              0,
		"{\"access_token\":\"a\xff\",\"expires_in\":7200}":                      0,
		`{"access_token":"a","access_token":"b","expires_in":7200}`:             0,
		`{"access_token":1,"expires_in":7200}`:                                  0,
	} {
		var calls int
		client := newClient(t, wechat.Options{Transport: cannedResponses(&calls, body)})
		token, left, err := client.StableToken(t.Context(), false)
		if left != want || (err == nil) != (want != 0) || want != 0 && token != "a" || want == 0 && wechat.KindOf(err) != wechat.KindUnavailable {
			t.Errorf("%s: got %s, %v", body, left, err)
		}
	}
}
