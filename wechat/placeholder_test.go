package wechat_test

import (
	"strings"
	"testing"

	"wxlogin/wechat"
)

const realAvatar = "https://thirdwx.qlogo.cn/mmopen/vi_32/Q0j4TwGTfTKxCqRzuYWQmpwiaqQEjNxbC7WicaJ/132"

func TestUserInfo_Real_avatar(t *testing.T) {
	const choose = "icTdbqWNOwNRna42FI242Lcia07jQodd2FJGIYQfG0LAJGFxM4FbnQP6yfMxBgJ0F3YRqJCJ1aPAK2dQagdusBZg"
	kept := map[string]string{
		"wechat":              realAvatar,
		"wechat_http":         strings.Replace(realAvatar, "https", "http", 1),
		"an_upload":           "https://cdn.example.com/avatar/1.png?v=2",
		"unusable":            "http://tmp/a.jpg",
		"no_url":              "https://example.com/%zz",
		"placeholder_as_text": "https://example.com/?from=" + wechat.AnonymousAvatarURL,
		"empty":               "",
	}
	blanked := map[string]string{
		"anonymous":                      wechat.AnonymousAvatarURL,
		"anonymous_with_space":           " " + wechat.AnonymousAvatarURL + "\n",
		"anonymous_in_another_size":      strings.Replace(wechat.AnonymousAvatarURL, "/132", "/0", 1),
		"anonymous_on_another_host":      strings.Replace(wechat.AnonymousAvatarURL, "https://thirdwx", "http://wx", 1),
		"anonymous_escaped":              strings.Replace(wechat.AnonymousAvatarURL, "POgE", "%50%4fgE", 1),
		"choose_avatar_default":          "https://mmbiz.qpic.cn/mmbiz/" + choose + "/0",
		"choose_avatar_default_and_more": "https://mmbiz.qpic.cn/mmbiz_png/" + choose + "/0?wx_fmt=png",
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
}

func TestUserInfo_Real_nickname(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"plain":                     {"Band", "Band"},
		"emoji":                     {"王小明😀👨‍👩‍👧", "王小明😀👨‍👩‍👧"},
		"placeholder":               {"微信用户", ""},
		"placeholder_with_space":    {" 微信用户 ", ""},
		"placeholder_within_a_name": {"微信用户2号", "微信用户2号"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := (wechat.UserInfo{NickName: test.in}).WithoutPlaceholders().NickName; got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestUserInfo_Real_leaves_the_rest(t *testing.T) {
	in := wechat.UserInfo{
		OpenID: "o1", UnionID: "o2", NickName: "Band", AvatarURL: realAvatar, Gender: 3, Language: "zh_CN",
		City: "\u3164", Province: "Guang\x00dong", Country: " CN ", Watermark: wechat.Watermark{Timestamp: 7, AppID: testAppID},
	}
	if got := in.WithoutPlaceholders(); got != in {
		t.Errorf("got %+v, want %+v", got, in)
	}
}

func TestUserInfo_Anonymous(t *testing.T) {
	tests := map[string]struct {
		info wechat.UserInfo
		want bool
	}{
		"the_placeholder":  {wechat.UserInfo{NickName: wechat.AnonymousNickName, AvatarURL: wechat.AnonymousAvatarURL, Language: "zh_CN"}, true},
		"the_name_alone":   {wechat.UserInfo{NickName: wechat.AnonymousNickName}, true},
		"the_avatar_alone": {wechat.UserInfo{AvatarURL: wechat.AnonymousAvatarURL}, true},
		"nothing":          {wechat.UserInfo{}, true},
		"a_name":           {wechat.UserInfo{NickName: "Band", AvatarURL: wechat.AnonymousAvatarURL}, false},
		"an_avatar":        {wechat.UserInfo{NickName: wechat.AnonymousNickName, AvatarURL: realAvatar}, false},
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

// Real is settled, and blanks the placeholder or nothing.
func FuzzUserInfo_Real(f *testing.F) {
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
