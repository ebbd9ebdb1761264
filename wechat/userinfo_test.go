package wechat_test

import (
	"fmt"
	"testing"

	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

func TestOpenUserInfo_opens_the_official_sample(t *testing.T) {
	sample := loadOfficial(t).OpenData
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
}

func TestOpenUserInfo_checks_whose_data_it_is(t *testing.T) {
	sim := wechattest.New(wechattest.Options{Apps: map[string]string{testAppID: testSecret}})
	phone := sim.Device(testAppID, wechattest.User{Name: "alice"})
	own := wechat.Owner{AppID: testAppID, OpenID: phone.OpenID()}
	tests := map[string]struct {
		data wechattest.OpenData
		want wechat.Owner
		ok   bool
	}{
		"own":                             {phone.GetUserInfo(), own, true},
		"own_without_openId":              {phone.GetUserProfile(), own, true},
		"another_app":                     {phone.GetUserInfo(), wechat.Owner{AppID: "wxother", OpenID: own.OpenID}, false},
		"another_app_without_openId":      {phone.GetUserProfile(), wechat.Owner{AppID: "wxother", OpenID: own.OpenID}, false},
		"no_app":                          {phone.GetUserInfo(), wechat.Owner{OpenID: own.OpenID}, false},
		"another_user":                    {phone.GetUserInfo(), wechat.Owner{AppID: testAppID, OpenID: "oOther"}, false},
		"no_user":                         {phone.GetUserInfo(), wechat.Owner{AppID: testAppID}, false},
		"another_case_of_the_same_openid": {phone.GetUserInfo(), wechat.Owner{AppID: testAppID, OpenID: "O" + own.OpenID[1:]}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := wechat.DecryptUserInfo(phone.SessionKey(), test.data.EncryptedData, test.data.IV, test.want)
			if test.ok && (err != nil || got.NickName != "alice") || !test.ok && (err != wechat.ErrDecrypt || got != wechat.UserInfo{}) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestOpenUserInfo_opens_profiles_only(t *testing.T) {
	const mark = `"watermark":{"timestamp":1,"appid":"` + testAppID + `"}`
	tests := map[string]struct {
		plain string
		ok    bool
	}{
		"a_profile":                 {`{"nickName":"x","avatarUrl":"y",` + mark + `}`, true},
		"a_profile_of_empty_values": {`{"nickName":"",` + mark + `}`, true},
		"an_avatar_alone":           {`{"avatarUrl":"",` + mark + `}`, true},
		"a_phone_number":            {`{"phoneNumber":"1","purePhoneNumber":"1","countryCode":"86",` + mark + `}`, false},
		"a_phone_number_and_a_name": {`{"nickName":"x","purePhoneNumber":"1",` + mark + `}`, false},
		"a_watermark_alone":         {`{` + mark + `}`, false},
		"no_watermark":              {`{"nickName":"x"}`, false},
		"no_time":                   {`{"nickName":"x","watermark":{"appid":"` + testAppID + `"}}`, false},
		"a_time_before_1970":        {`{"nickName":"x","watermark":{"timestamp":-1,"appid":"` + testAppID + `"}}`, false},
		"a_time_in_milliseconds":    {`{"nickName":"x","watermark":{"timestamp":1477314187000,"appid":"` + testAppID + `"}}`, false},
		"null":                      {`null`, false},
		"a_text":                    {`"nickName"`, false},
		"nothing":                   {``, false},
		"no_json":                   {`{"nickName":"x",` + mark, false},
		"two_values":                {`{"nickName":"x",` + mark + `}{}`, false},
		"two_openids":               {`{"nickName":"x","openId":"o2","openId":null,"openId":"o2",` + mark + `}`, false},
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
}

// A single changed bit anywhere either is refused, or changes what a profile says; it never panics, and never gives
// another error.
func TestOpenUserInfo_with_a_changed_bit_has_one_error(t *testing.T) {
	sample := loadOfficial(t).OpenData
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
			if err != wechat.ErrDecrypt || err.Error() != "wechat: open data cannot be opened" {
				t.Fatalf("byte %d: %v", i, err)
			}
		}
		data[i] ^= 0x10
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
}

func ExampleDecryptUserInfo() {
	sim := wechattest.New(wechattest.Options{Apps: map[string]string{"wx000000000000demo": "secret"}})
	phone := sim.Device("", wechattest.User{Name: "alice"})
	data := phone.GetUserInfo()

	info, err := wechat.DecryptUserInfo(phone.SessionKey(), data.EncryptedData, data.IV, wechat.Owner{
		AppID:  "wx000000000000demo",
		OpenID: phone.OpenID(),
	})
	fmt.Println(info.WithoutPlaceholders().NickName, err)
	// Output: alice <nil>
}
