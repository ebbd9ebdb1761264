package wechat_test

import (
	"strings"
	"testing"
	"time"

	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

func TestDecryptUserInfo(t *testing.T) {
	t.Run("decrypts the official sample", func(t *testing.T) {
		sample := loadOfficialSamples(t).OpenData
		want := wechat.UserInfo{
			OpenID: "oGZUI0egBJY1zhBYw2KhdUfwVJJE", NickName: "Band", Gender: 1, Language: "zh_CN",
			City: "Guangzhou", Province: "Guangdong", Country: "CN", UnionID: "ocMvos6NjeKLIBqg5Mr9QjxrP1FA",
			AvatarURL: "http://wx.qlogo.cn/mmopen/vi_32/aSKcBBPpibyKNicHNTMM0qJVh8Kjgiak2AHWr8MHM4WgMEm7GFhsf8OYrySdbvAMvTsw3mo8ibKicsnfN5pRjl1p8HQ/0",
			Watermark: wechat.Watermark{Timestamp: 1477314187, AppID: "wx4f4bc4dec97d474b"},
		}
		got, err := wechat.DecryptUserInfo(sample.SessionKey, sample.EncryptedData, sample.IV,
			wechat.Owner{AppID: sample.AppID, OpenID: want.OpenID})
		if err != nil || got != want {
			t.Errorf("got %+v, %v", got, err)
		}
	})

	t.Run("checks the owner", func(t *testing.T) {
		sim := wechattest.New(wechattest.Options{Apps: map[string]string{testAppID: testSecret}})
		phone := sim.Device(testAppID, wechattest.User{Name: "alice"})
		own := wechat.Owner{AppID: testAppID, OpenID: phone.OpenID()}
		tests := map[string]struct {
			data wechattest.OpenData
			want wechat.Owner
			ok   bool
		}{
			"own":                             {phone.GetUserInfo(), own, true},
			"own without openId":              {phone.GetUserProfile(), own, true},
			"another app":                     {phone.GetUserInfo(), wechat.Owner{AppID: "wxother", OpenID: own.OpenID}, false},
			"another app without openId":      {phone.GetUserProfile(), wechat.Owner{AppID: "wxother", OpenID: own.OpenID}, false},
			"no app":                          {phone.GetUserInfo(), wechat.Owner{OpenID: own.OpenID}, false},
			"another user":                    {phone.GetUserInfo(), wechat.Owner{AppID: testAppID, OpenID: "oOther"}, false},
			"no user":                         {phone.GetUserInfo(), wechat.Owner{AppID: testAppID}, false},
			"another case of the same openid": {phone.GetUserInfo(), wechat.Owner{AppID: testAppID, OpenID: "O" + own.OpenID[1:]}, false},
		}
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				got, err := wechat.DecryptUserInfo(phone.SessionKey(), test.data.EncryptedData, test.data.IV, test.want)
				if test.ok && (err != nil || got.NickName != "alice") || !test.ok && (err != wechat.ErrDecrypt || got != wechat.UserInfo{}) {
					t.Errorf("got %+v, %v", got, err)
				}
			})
		}
	})

	t.Run("decrypts profiles only", func(t *testing.T) {
		const mark = `"watermark":{"timestamp":1,"appid":"` + testAppID + `"}`
		tests := map[string]struct {
			plain string
			ok    bool
		}{
			"a profile":                 {`{"nickName":"x","avatarUrl":"y",` + mark + `}`, true},
			"a profile of empty values": {`{"nickName":"",` + mark + `}`, true},
			"an avatar alone":           {`{"avatarUrl":"",` + mark + `}`, true},
			"a phone number":            {`{"phoneNumber":"1","purePhoneNumber":"1","countryCode":"86",` + mark + `}`, false},
			"a phone number and a name": {`{"nickName":"x","purePhoneNumber":"1",` + mark + `}`, false},
			"a watermark alone":         {`{` + mark + `}`, false},
			"no watermark":              {`{"nickName":"x"}`, false},
			"no time":                   {`{"nickName":"x","watermark":{"appid":"` + testAppID + `"}}`, false},
			"a time before 1970":        {`{"nickName":"x","watermark":{"timestamp":-1,"appid":"` + testAppID + `"}}`, false},
			"a time in milliseconds":    {`{"nickName":"x","watermark":{"timestamp":1477314187000,"appid":"` + testAppID + `"}}`, false},
			"null":                      {`null`, false},
			"a text":                    {`"nickName"`, false},
			"nothing":                   {``, false},
			"no json":                   {`{"nickName":"x",` + mark, false},
			"two values":                {`{"nickName":"x",` + mark + `}{}`, false},
			"two openids":               {`{"nickName":"x","openId":"o2","openId":null,"openId":"o2",` + mark + `}`, false},
		}
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				data, iv := wechattest.Seal(testKey, []byte(test.plain))
				_, err := wechat.DecryptUserInfo(testKey, data, iv, wechat.Owner{AppID: testAppID})
				if test.ok && err != nil || !test.ok && err != wechat.ErrDecrypt {
					t.Errorf("got %v", err)
				}
			})
		}
	})

	// A single changed bit is refused or changes a field of the profile. It never panics and never returns
	// another error.
	t.Run("a changed bit has one error", func(t *testing.T) {
		sample := loadOfficialSamples(t).OpenData
		data, err := wechat.DecodeBase64(sample.EncryptedData)
		if err != nil {
			t.Fatal(err)
		}
		want := wechat.Owner{AppID: sample.AppID, OpenID: "oGZUI0egBJY1zhBYw2KhdUfwVJJE"}
		refused := 0
		for i := range data {
			data[i] ^= 0x10
			if _, err := wechat.DecryptUserInfo(sample.SessionKey, encode64(data), sample.IV, want); err != nil {
				refused++
				if err != wechat.ErrDecrypt || err.Error() != "wechat: open data cannot be decrypted" {
					t.Fatalf("byte %d: %v", i, err)
				}
			}
			data[i] ^= 0x10
		}
		if refused == 0 {
			t.Error("nothing was refused")
		}
	})
}

const realAvatar = "https://thirdwx.qlogo.cn/mmopen/vi_32/Q0j4TwGTfTKxCqRzuYWQmpwiaqQEjNxbC7WicaJ/132"

func TestUserInfo_WithoutPlaceholders(t *testing.T) {
	t.Run("avatar", func(t *testing.T) {
		const choose = "icTdbqWNOwNRna42FI242Lcia07jQodd2FJGIYQfG0LAJGFxM4FbnQP6yfMxBgJ0F3YRqJCJ1aPAK2dQagdusBZg"
		kept := map[string]string{
			"wechat":              realAvatar,
			"wechat http":         strings.Replace(realAvatar, "https", "http", 1),
			"an upload":           "https://cdn.example.com/avatar/1.png?v=2",
			"unusable":            "http://tmp/a.jpg",
			"no url":              "https://example.com/%zz",
			"placeholder as text": "https://example.com/?from=" + wechat.AnonymousAvatarURL,
			"empty":               "",
		}
		blanked := map[string]string{
			"anonymous":                      wechat.AnonymousAvatarURL,
			"anonymous with space":           " " + wechat.AnonymousAvatarURL + "\n",
			"anonymous in another size":      strings.Replace(wechat.AnonymousAvatarURL, "/132", "/0", 1),
			"anonymous on another host":      strings.Replace(wechat.AnonymousAvatarURL, "https://thirdwx", "http://wx", 1),
			"anonymous escaped":              strings.Replace(wechat.AnonymousAvatarURL, "POgE", "%50%4fgE", 1),
			"choose avatar default":          "https://mmbiz.qpic.cn/mmbiz/" + choose + "/0",
			"choose avatar default and more": "https://mmbiz.qpic.cn/mmbiz_png/" + choose + "/0?wx_fmt=png",
		}
		for name, in := range kept {
			t.Run("keeps/"+name, func(t *testing.T) {
				if got := (wechat.UserInfo{AvatarURL: in}).WithoutPlaceholders().AvatarURL; got != in {
					t.Errorf("got %q, want %q", got, in)
				}
			})
		}
		for name, in := range blanked {
			t.Run("blanks/"+name, func(t *testing.T) {
				if got := (wechat.UserInfo{AvatarURL: in}).WithoutPlaceholders().AvatarURL; got != "" {
					t.Errorf("%q became %q", in, got)
				}
			})
		}
	})

	t.Run("nickname", func(t *testing.T) {
		tests := map[string]struct{ in, want string }{
			"plain":                     {"Band", "Band"},
			"emoji":                     {"王小明😀👨‍👩‍👧", "王小明😀👨‍👩‍👧"},
			"placeholder":               {"微信用户", ""},
			"placeholder with space":    {" 微信用户 ", ""},
			"placeholder within a name": {"微信用户2号", "微信用户2号"},
		}
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				if got := (wechat.UserInfo{NickName: test.in}).WithoutPlaceholders().NickName; got != test.want {
					t.Errorf("got %q, want %q", got, test.want)
				}
			})
		}
	})

	t.Run("keeps the other fields", func(t *testing.T) {
		in := wechat.UserInfo{
			OpenID: "o1", UnionID: "o2", NickName: "Band", AvatarURL: realAvatar, Gender: 3, Language: "zh_CN",
			City: "\u3164", Province: "Guang\x00dong", Country: " CN ", Watermark: wechat.Watermark{Timestamp: 7, AppID: testAppID},
		}
		if got := in.WithoutPlaceholders(); got != in {
			t.Errorf("got %+v, want %+v", got, in)
		}
	})
}

func TestUserInfo_IsPlaceholder(t *testing.T) {
	tests := map[string]struct {
		info wechat.UserInfo
		want bool
	}{
		"the placeholder":  {wechat.UserInfo{NickName: wechat.AnonymousNickName, AvatarURL: wechat.AnonymousAvatarURL, Language: "zh_CN"}, true},
		"the name alone":   {wechat.UserInfo{NickName: wechat.AnonymousNickName}, true},
		"the avatar alone": {wechat.UserInfo{AvatarURL: wechat.AnonymousAvatarURL}, true},
		"nothing":          {wechat.UserInfo{}, true},
		"a name":           {wechat.UserInfo{NickName: "Band", AvatarURL: wechat.AnonymousAvatarURL}, false},
		"an avatar":        {wechat.UserInfo{NickName: wechat.AnonymousNickName, AvatarURL: realAvatar}, false},
		"both":             {wechat.UserInfo{NickName: "Band", AvatarURL: realAvatar}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := test.info.IsPlaceholder(); got != test.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

// WithoutPlaceholders is idempotent, and clears a placeholder or nothing.
func FuzzUserInfo_WithoutPlaceholders(f *testing.F) {
	f.Add("Band", realAvatar)
	f.Add(wechat.AnonymousNickName, wechat.AnonymousAvatarURL)
	f.Add(" \x00微信用户\xff", "http://tmp/a.jpg")
	f.Fuzz(func(t *testing.T, name, avatar string) {
		given := wechat.UserInfo{NickName: name, AvatarURL: avatar}
		got := given.WithoutPlaceholders()
		if got != got.WithoutPlaceholders() {
			t.Errorf("%+v became %+v", got, got.WithoutPlaceholders())
		}
		if got.NickName != "" && got.NickName != name || got.AvatarURL != "" && got.AvatarURL != avatar {
			t.Errorf("%+v became %+v", given, got)
		}
		if given.IsPlaceholder() != (got.NickName == "" && got.AvatarURL == "") {
			t.Errorf("%+v: anonymous %t", got, given.IsPlaceholder())
		}
	})
}

func TestVerifySignature(t *testing.T) {
	s := loadOfficialSamples(t).RawDataSignature
	tests := map[string]struct {
		key, rawData, signature string
		want                    bool
	}{
		"official sample":    {s.SessionKey, s.RawData, s.Signature, true},
		"another key":        {testKey, s.RawData, s.Signature, false},
		"rewritten raw data": {s.SessionKey, strings.ReplaceAll(s.RawData, "/", `\/`), s.Signature, false},
		"cut signature":      {s.SessionKey, s.RawData, s.Signature[:39], false},
		"upper case":         {s.SessionKey, s.RawData, strings.ToUpper(s.Signature), false},
		"no signature":       {s.SessionKey, s.RawData, "", false},
		"no key":             {"", s.RawData, wechattest.Sign("", s.RawData), false},
		"no raw data":        {s.SessionKey, "", wechattest.Sign(s.SessionKey, ""), true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := wechat.VerifySignature(test.key, test.rawData, test.signature); got != test.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

func TestSignData(t *testing.T) {
	samples := loadOfficialSamples(t)
	hmac, payment := samples.SessionHMAC, samples.VirtualPayment
	for name, test := range map[string]struct{ key, data, want string }{
		"session API":          {hmac.SessionKey, hmac.Body, hmac.Signature},
		"session API by a GET": {hmac.SessionKey, "", "46e043c5525c2d817c44be603d30837a808a1d930d038f6fdc3e62a201fed128"},
		"virtual payment":      {payment.SessionKey, payment.Data, payment.Signature},
	} {
		if got := wechat.SignData(test.key, test.data); got != test.want {
			t.Errorf("%s: got %s, want the official %s", name, got, test.want)
		}
	}
}

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
