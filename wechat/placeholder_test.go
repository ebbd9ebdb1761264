package wechat_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"wxlogin/wechat"
)

const realAvatar = "https://thirdwx.qlogo.cn/mmopen/vi_32/Q0j4TwGTfTKxCqRzuYWQmpwiaqQEjNxbC7WicaJ/132"

func TestUserInfo_Real_avatar(t *testing.T) {
	const choose = "icTdbqWNOwNRna42FI242Lcia07jQodd2FJGIYQfG0LAJGFxM4FbnQP6yfMxBgJ0F3YRqJCJ1aPAK2dQagdusBZg"
	kept := map[string]string{
		"wechat":         realAvatar,
		"wechat_http":    strings.Replace(realAvatar, "https", "http", 1),
		"an_upload":      "https://cdn.example.com/avatar/1.png?v=2",
		"an_ip":          "http://192.0.2.7:9000/a.png",
		"the_longest":    "https://example.com/" + strings.Repeat("x", 1004),
		"an_escaped_url": "https://example.com/%E5%A4%B4.png",
	}
	blanked := map[string]string{
		"anonymous":                      wechat.AnonymousAvatarURL,
		"anonymous_in_another_size":      strings.Replace(wechat.AnonymousAvatarURL, "/132", "/0", 1),
		"anonymous_on_another_host":      strings.Replace(wechat.AnonymousAvatarURL, "https://thirdwx", "http://wx", 1),
		"choose_avatar_default":          "https://mmbiz.qpic.cn/mmbiz/" + choose + "/0",
		"choose_avatar_default_and_more": "https://mmbiz.qpic.cn/mmbiz_png/" + choose + "/0?wx_fmt=png",
		"wxfile":                         "wxfile://tmp_0123456789.jpg",
		"http_tmp":                       "http://tmp/wx0123.jpg",
		"http_tmp_with_a_port":           "http://tmp:80/wx0123.jpg",
		"http_usr":                       "http://usr/a.jpg",
		"http_store":                     "http://store/a.jpg",
		"devtools":                       "http://127.0.0.1:34567/__tmp__/a.jpg",
		"loopback_v6":                    "http://[::1]/a.jpg",
		"loopback_v6_mapped":             "http://[::ffff:127.0.0.1]/a.jpg",
		"localhost":                      "http://localhost:34567/a.jpg",
		"below_localhost":                "http://a.LOCALHOST./a.jpg",
		"unspecified":                    "http://0.0.0.0/a.jpg",
		"no_host":                        "https:///a.jpg",
		"a_path":                         "/tmp/a.jpg",
		"data":                           "data:image/png;base64,AAAA",
		"javascript":                     "javascript:alert(1)",
		"with_a_password":                "https://u:p@example.com/a.jpg",
		"too_long":                       "https://example.com/" + strings.Repeat("x", 1005),
		"a_newline":                      "https://example.com/a\n.jpg",
		"a_quote":                        `https://example.com/"><script>`,
		"invalid_utf8":                   "https://example.com/\xff",
		"empty":                          "",
	}
	for name, in := range kept {
		t.Run("keeps/"+name, func(t *testing.T) {
			if got := (wechat.UserInfo{AvatarURL: " " + in + "\n"}).Real().AvatarURL; got != in {
				t.Errorf("got %q, want %q", got, in)
			}
		})
	}
	for name, in := range blanked {
		t.Run("blanks/"+name, func(t *testing.T) {
			if got := (wechat.UserInfo{AvatarURL: in}).Real().AvatarURL; got != "" {
				t.Errorf("%q became %q", in, got)
			}
		})
	}
}

func TestUserInfo_Real_nickname(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"plain":                     {"Band", "Band"},
		"emoji":                     {"王小明😀👨‍👩‍👧", "王小明😀👨‍👩‍👧"},
		"placeholder":               {"微信用户", ""},
		"placeholder_with_space":    {" 微信用户 ", ""},
		"placeholder_within_a_name": {"微信用户2号", "微信用户2号"},
		"blank":                     {" \u3000\t", ""},
		"control_characters":        {"a\x00b\nc\u0085d", "abcd"},
		"invalid_utf8":              {"a\xffb\xf0\x9f", "ab"},
		"255_characters":            {strings.Repeat("😀", 255), strings.Repeat("😀", 255)},
		"256_characters":            {strings.Repeat("😀", 256), strings.Repeat("😀", 255)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := (wechat.UserInfo{NickName: test.in}).Real().NickName; got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestUserInfo_Real_of_the_rest(t *testing.T) {
	mark := wechat.Watermark{Timestamp: 7, AppID: testAppID}
	in := wechat.UserInfo{
		OpenID: "o1", UnionID: "o2", Gender: 3, Language: strings.Repeat("l", 33),
		City: strings.Repeat("市", 129), Province: "Guang\x00dong", Country: " CN ", Watermark: mark,
	}
	want := wechat.UserInfo{
		OpenID: "o1", UnionID: "o2", Gender: 0, Language: strings.Repeat("l", 32),
		City: strings.Repeat("市", 128), Province: "Guangdong", Country: "CN", Watermark: mark,
	}
	if got := in.Real(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for gender, want := range map[int]int{-1: 0, 0: 0, 1: 1, 2: 2, 3: 0} {
		if got := (wechat.UserInfo{Gender: gender}).Real().Gender; got != want {
			t.Errorf("gender %d became %d", gender, got)
		}
	}
}

func TestUserInfo_Anonymous(t *testing.T) {
	tests := map[string]struct {
		info wechat.UserInfo
		want bool
	}{
		"the_placeholder":          {wechat.UserInfo{NickName: wechat.AnonymousNickName, AvatarURL: wechat.AnonymousAvatarURL, Language: "zh_CN"}, true},
		"the_name_alone":           {wechat.UserInfo{NickName: wechat.AnonymousNickName}, true},
		"the_avatar_alone":         {wechat.UserInfo{AvatarURL: wechat.AnonymousAvatarURL}, true},
		"nothing":                  {wechat.UserInfo{}, true},
		"the_name_and_a_temporary": {wechat.UserInfo{NickName: wechat.AnonymousNickName, AvatarURL: "http://tmp/a.jpg"}, true},
		"a_name":                   {wechat.UserInfo{NickName: "Band", AvatarURL: wechat.AnonymousAvatarURL}, false},
		"an_avatar":                {wechat.UserInfo{NickName: wechat.AnonymousNickName, AvatarURL: realAvatar}, false},
		"both":                     {wechat.UserInfo{NickName: "Band", AvatarURL: realAvatar}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := test.info.Anonymous(); got != test.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

// Real is settled: what it returns is valid, within the limits, and stays as it is.
func FuzzUserInfo_Real(f *testing.F) {
	f.Add("Band", realAvatar, "Guangzhou", 1)
	f.Add(wechat.AnonymousNickName, wechat.AnonymousAvatarURL, "", 0)
	f.Add(" \x00微信用户\xff", "http://tmp/a.jpg", strings.Repeat("x ", 100), -7)
	f.Fuzz(func(t *testing.T, name, avatar, place string, gender int) {
		got := wechat.UserInfo{NickName: name, AvatarURL: avatar, City: place, Gender: gender}.Real()
		if got != got.Real() {
			t.Errorf("%+v became %+v", got, got.Real())
		}
		if !utf8.ValidString(got.NickName + got.AvatarURL + got.City) {
			t.Error("invalid UTF-8")
		}
		if utf8.RuneCountInString(got.NickName) > 255 || utf8.RuneCountInString(got.AvatarURL) > 1024 || utf8.RuneCountInString(got.City) > 128 {
			t.Error("too long")
		}
	})
}
