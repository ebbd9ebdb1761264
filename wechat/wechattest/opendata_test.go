package wechattest_test

import (
	"encoding/json"
	"testing"

	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

func TestDevice_OpenData(t *testing.T) {
	t.Run("decrypts and is signed", func(t *testing.T) {
		c := newClock()
		sim := newSimulator(wechattest.Options{Now: c.Now})
		info := wechattest.Info{
			NickName: "王小明 <&> 😀", Gender: 2, Language: "en", City: "Xi'an", Province: "Shaanxi", Country: "China",
			AvatarURL: "https://thirdwx.qlogo.cn/mmopen/vi_32/x/132",
		}
		phone := sim.Device(appA, wechattest.User{Name: "alice", UnionID: "oUnion", Info: info})
		real := wechat.UserInfo{
			NickName: info.NickName, Gender: 2, Language: "en", City: "Xi'an", Province: "Shaanxi", Country: "China",
			AvatarURL: info.AvatarURL, Watermark: wechat.Watermark{Timestamp: c.Now().Unix(), AppID: appA},
		}
		named := real
		named.OpenID, named.UnionID = phone.OpenID(), "oUnion"
		anonymous := wechat.UserInfo{
			OpenID: phone.OpenID(), UnionID: "oUnion", NickName: "微信用户", Language: "zh_CN",
			AvatarURL: wechat.AnonymousAvatarURL, Watermark: real.Watermark,
		}
		tests := map[string]struct {
			data wechattest.OpenData
			want wechat.UserInfo
		}{
			"GetUserInfo":    {phone.GetUserInfo(), named},
			"GetUserProfile": {phone.GetUserProfile(), real},
			"GetPlaceholder": {phone.GetPlaceholder(), anonymous},
		}
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				d := test.data
				got, err := wechat.DecryptUserInfo(phone.SessionKey(), d.EncryptedData, d.IV, wechat.Owner{AppID: appA, OpenID: phone.OpenID()})
				if err != nil || got != test.want {
					t.Errorf("got %+v, %v", got, err)
				}
				if !wechat.VerifySignature(phone.SessionKey(), d.RawData, d.Signature) {
					t.Error("the signature does not fit")
				}
				var raw wechattest.Info
				if err := json.Unmarshal([]byte(d.RawData), &raw); err != nil || raw != d.UserInfo || raw.NickName != test.want.NickName {
					t.Errorf("rawData %s, userInfo %+v", d.RawData, d.UserInfo)
				}
				if got.IsPlaceholder() != (name == "GetPlaceholder") {
					t.Error("anonymous or not?")
				}
			})
		}
	})

	t.Run("differs each time", func(t *testing.T) {
		phone := newSimulator(wechattest.Options{}).Device(appA, wechattest.User{Name: "alice"})
		if a, b := phone.GetUserInfo(), phone.GetUserInfo(); a.IV == b.IV || a.EncryptedData == b.EncryptedData {
			t.Error("the iv is not fresh")
		}
	})
}

func TestUser(t *testing.T) {
	t.Run("is generated from the name", func(t *testing.T) {
		one := newSimulator(wechattest.Options{}).Device(appA, wechattest.User{Name: "alice"}).GetUserInfo().UserInfo
		two := newSimulator(wechattest.Options{}).Device(appB, wechattest.User{Name: "alice"}).GetUserInfo().UserInfo
		if one != two || one.NickName != "alice" {
			t.Errorf("%+v and %+v", one, two)
		}
		asSent := wechat.UserInfo{
			NickName: one.NickName, Gender: one.Gender, Language: one.Language,
			City: one.City, Province: one.Province, Country: one.Country, AvatarURL: one.AvatarURL,
		}
		if asSent.WithoutPlaceholders() != asSent {
			t.Errorf("%+v is not real throughout", asSent)
		}
	})

	t.Run("is updated by a later device", func(t *testing.T) {
		sim := newSimulator(wechattest.Options{})
		phone := sim.Device(appA, wechattest.User{Name: "alice", UnionID: "oUnion"})
		sim.Device(appB, wechattest.User{Name: "alice", Info: wechattest.Info{NickName: "Alice the Second"}})
		d := phone.GetUserInfo()
		info, err := wechat.DecryptUserInfo(phone.SessionKey(), d.EncryptedData, d.IV, wechat.Owner{AppID: appA, OpenID: phone.OpenID()})
		if err != nil || info.NickName != "Alice the Second" || info.UnionID != "oUnion" {
			t.Errorf("got %+v, %v", info, err)
		}
	})
}
