package wechat

import (
	"net/netip"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
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

// The longest texts that Real leaves, in characters.
const (
	maxNickName  = 255
	maxAvatarURL = 1024
	maxPlace     = 128
	maxLanguage  = 32
)

// Anonymous reports whether the profile is only WeChat's placeholder: neither its nickname nor its avatar is a real
// one. Empty and unusable values are not real.
func (u UserInfo) Anonymous() bool {
	name := clean(u.NickName, maxNickName)
	return (name == "" || name == AnonymousNickName) && !realAvatar(strings.TrimSpace(u.AvatarURL))
}

// Real returns the profile with all that is no user's own blanked, fit to be stored: WeChat's placeholder nickname and
// pictures, an avatar that is no http or https URL of a real host (wxfile://tmp…, http://tmp/… and the developer
// tools' http://127.0.0.1/… are files on the phone, dead tomorrow) or is longer than 1024 characters, and a gender
// other than 0, 1, 2. Texts lose control characters and invalid UTF-8, and are trimmed and cut: the nickname to 255
// characters, city, province and country to 128, the language to 32.
//
// Language stays even where it is the zh_CN that WeChat sends to everybody. OpenID, UnionID and Watermark stay as they
// are.
func (u UserInfo) Real() UserInfo {
	u.NickName = clean(u.NickName, maxNickName)
	if u.NickName == AnonymousNickName {
		u.NickName = ""
	}
	u.AvatarURL = strings.TrimSpace(u.AvatarURL)
	if !realAvatar(u.AvatarURL) {
		u.AvatarURL = ""
	}
	if u.Gender < 0 || u.Gender > 2 {
		u.Gender = 0
	}
	u.City = clean(u.City, maxPlace)
	u.Province = clean(u.Province, maxPlace)
	u.Country = clean(u.Country, maxPlace)
	u.Language = clean(u.Language, maxLanguage)
	return u
}

// clean makes a text storable in a utf8mb4 column of max characters.
func clean(s string, max int) string {
	if isClean(s, max) {
		return s
	}
	s = strings.ToValidUTF8(s, "")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, s)
	s = strings.TrimSpace(s)
	if utf8.RuneCountInString(s) <= max {
		return s
	}
	return strings.TrimSpace(string([]rune(s)[:max]))
}

// isClean tells texts that need no cleaning, which nearly all are, in one look.
func isClean(s string, max int) bool {
	n := 0
	for _, r := range s { // a byte that is no UTF-8 is a RuneError
		if r == utf8.RuneError || unicode.IsControl(r) {
			return false
		}
		n++
	}
	return n <= max && strings.TrimSpace(s) == s
}

func realAvatar(s string) bool {
	if utf8.RuneCountInString(s) > maxAvatarURL || !utf8.ValidString(s) || strings.ContainsFunc(s, notInURL) {
		return false
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || !realHost(u.Hostname()) {
		return false
	}
	return !strings.Contains(u.Path, greyAvatar) && !strings.Contains(u.Path, chooseAvatarDefault)
}

func notInURL(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune(`"<>\`, r)
}

// realHost tells a server's name from WeChat's "tmp", "usr" and "store", and from the user's own machine.
func realHost(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		ip = ip.Unmap()
		return !ip.IsLoopback() && !ip.IsUnspecified() && !ip.IsLinkLocalUnicast() && !ip.IsMulticast()
	}
	name := strings.TrimSuffix(host, ".")
	return strings.Contains(name, ".") && !strings.HasSuffix(strings.ToLower(name), ".localhost")
}
