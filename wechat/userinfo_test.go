package wechat_test

import (
	"strings"
	"testing"

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

func TestSessionSignature(t *testing.T) {
	s := loadOfficialSamples(t).SessionHMAC
	if got := wechat.SessionSignature(s.SessionKey, s.Body); got != s.Signature {
		t.Errorf("got %s, want the official %s", got, s.Signature)
	}
	const empty = "46e043c5525c2d817c44be603d30837a808a1d930d038f6fdc3e62a201fed128"
	if got := wechat.SessionSignature(s.SessionKey, ""); got != empty {
		t.Errorf("of an empty body: got %s, want %s", got, empty)
	}
}
