package handlers_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"wxlogin/wechat/wechattest"
)

// undecryptable is data of every kind that p's session must refuse.
func undecryptable(p, stranger *wechattest.Device) map[string]wechattest.OpenData {
	good := p.GetUserInfo()
	sealed := func(plain string) wechattest.OpenData {
		data, iv := wechattest.Seal(p.SessionKey(), []byte(plain))
		return wechattest.OpenData{EncryptedData: data, IV: iv}
	}
	return map[string]wechattest.OpenData{
		"bad_padding":     {EncryptedData: good.EncryptedData[:64], IV: good.IV},
		"other_iv":        {EncryptedData: good.EncryptedData, IV: "AAAAAAAAAAAAAAAAAAAAAA=="},
		"no_json":         sealed("hello"),
		"no_profile":      sealed(`{"watermark":{"timestamp":1,"appid":"` + appID + `"}}`),
		"phone_number":    sealed(`{"phoneNumber":"+8613","nickName":"x","watermark":{"timestamp":1,"appid":"` + appID + `"}}`),
		"other_app":       sealed(`{"nickName":"x","watermark":{"timestamp":1,"appid":"` + otherAppID + `"}}`),
		"no_watermark":    sealed(`{"nickName":"x"}`),
		"other_openid":    sealed(`{"openId":"oOTHER","nickName":"x","watermark":{"timestamp":1,"appid":"` + appID + `"}}`),
		"strangers_data":  stranger.GetUserInfo(),
		"wrong_signature": {EncryptedData: good.EncryptedData, IV: good.IV, RawData: good.RawData, Signature: strings.Repeat("0", 40)},
		"odd_signature":   {EncryptedData: good.EncryptedData, IV: good.IV, RawData: good.RawData, Signature: "x"},
		"other_raw_data":  {EncryptedData: good.EncryptedData, IV: good.IV, RawData: good.RawData + " ", Signature: good.Signature},
	}
}

// BenchmarkUpdateUserInfo_undecryptable shows that no kind of fault in the data stands out by the time that it takes. The
// wait for a login under way, the same for all, is left out: it would hide differences.
func BenchmarkUpdateUserInfo_undecryptable(b *testing.B) {
	w := newWorld(b)
	p := w.phone("alice")
	token := w.login(p).Token
	cases := undecryptable(p, w.phone("bob"))
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		data := cases[name]
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				w.postFor(b, http.StatusUnprocessableEntity, "/updateUserInfo", formOf(token, data))
			}
		})
	}
}
