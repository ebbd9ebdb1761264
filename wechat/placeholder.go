package wechat

import (
	"net/url"
	"strings"
)

// What WeChat sends in place of a profile since 2021-04-28 (wx.getUserInfo) and 2022-11-08 (wx.getUserProfile).
const (
	AnonymousNickName  = "微信用户"
	AnonymousAvatarURL = "https://thirdwx.qlogo.cn/mmopen/vi_32/" + greyAvatar + "/132"
)

// The pictures are known by a part of their path: host, scheme and size vary.
const (
	greyAvatar          = "POgEwh4mIHO4nibH0KlMECNjjGxQUq24ZEaGT4poC6icRiccVGKSyXwibcPq4BWmiaIGuG1icwxaQX6grC9VemZoJ8rg"
	chooseAvatarDefault = "icTdbqWNOwNRna42FI242Lcia07jQodd2FJGIYQfG0LAJGFxM4FbnQP6yfMxBgJ0F3YRqJCJ1aPAK2dQagdusBZg"
)

// Anonymous reports whether the profile is only WeChat's placeholder: neither its nickname nor its avatar is a real one. Empty
// ones are not real.
func (u UserInfo) IsPlaceholder() bool {
	real := u.WithoutPlaceholders()
	return real.NickName == "" && real.AvatarURL == ""
}

// Real returns the profile without WeChat's placeholders: a nickname or an avatar that is one becomes empty. All else stays as
// WeChat sent it; whether it is fit to be stored is for the caller to decide. So the Language may be the zh_CN that WeChat has
// sent for everybody since October 2021.
func (u UserInfo) WithoutPlaceholders() UserInfo {
	if strings.TrimSpace(u.NickName) == AnonymousNickName {
		u.NickName = ""
	}
	if isPlaceholderPicture(u.AvatarURL) {
		u.AvatarURL = ""
	}
	return u
}

func isPlaceholderPicture(address string) bool {
	u, err := url.Parse(strings.TrimSpace(address))
	return err == nil && (strings.Contains(u.Path, greyAvatar) || strings.Contains(u.Path, chooseAvatarDefault))
}
