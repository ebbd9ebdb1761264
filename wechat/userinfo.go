package wechat

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/url"
	"strings"
)

// UserInfo is a user's profile as WeChat encrypts it for wx.getUserInfo and wx.getUserProfile. The latter has no OpenID
// and no UnionID, so take the user from the session.
//
// The fields are as WeChat sent them. Since 2021 and 2022 they are mostly placeholders: see WithoutPlaceholders.
type UserInfo struct {
	OpenID    string    `json:"openId,omitempty"`
	NickName  string    `json:"nickName"`
	Gender    int       `json:"gender"` // 0 unknown, 1 male, 2 female
	Language  string    `json:"language"`
	City      string    `json:"city"`
	Province  string    `json:"province"`
	Country   string    `json:"country"`
	AvatarURL string    `json:"avatarUrl"`
	UnionID   string    `json:"unionId,omitempty"`
	Watermark Watermark `json:"watermark"`
}

// DecryptUserInfo decrypts a user's profile. It checks that the data is a profile and not a phone number, that WeChat
// encrypted it for the mini-program want.AppID at a time after 1970, and, if it names a user, that this is want.OpenID.
// An empty want.AppID matches nothing. The error is always ErrDecrypt.
func DecryptUserInfo(sessionKey, encryptedData, iv string, want Owner) (UserInfo, error) {
	plain, padded := decrypt(sessionKey, encryptedData, iv)
	// Parsed even if the padding is invalid, so that both cases take the same time.
	info, isProfile := parseUserInfo(plain)
	if !padded || !isProfile || !want.matches(info.OpenID, info.Watermark) {
		return UserInfo{}, ErrDecrypt
	}
	return info, nil
}

// parseUserInfo reads a profile. Unlike other data under the same key, a profile has a nickname or an avatar, even if
// empty, and no phone number.
func parseUserInfo(plain []byte) (info UserInfo, ok bool) {
	o, ok := readObject(plain)
	if !ok {
		return UserInfo{}, false
	}
	openID, ok := o.exactText("openId")
	unionID, _ := o.exactText("unionId")
	isProfile := o.has("nickName", "avatarUrl") && !o.has("phoneNumber", "purePhoneNumber")
	return UserInfo{
		OpenID:    openID,
		NickName:  o.text("nickName"),
		Gender:    int(o.integer("gender")),
		Language:  o.text("language"),
		City:      o.text("city"),
		Province:  o.text("province"),
		Country:   o.text("country"),
		AvatarURL: o.text("avatarUrl"),
		UnionID:   unionID,
		Watermark: readWatermark(o),
	}, ok && isProfile
}

// The placeholders that WeChat sends instead of a profile since 2021-04-28 (wx.getUserInfo) and 2022-11-08
// (wx.getUserProfile).
const (
	AnonymousNickName  = "微信用户"
	AnonymousAvatarURL = "https://thirdwx.qlogo.cn/mmopen/vi_32/" + greyAvatarPath + "/132"
)

// The placeholder avatars are recognized by a part of their path; host, scheme and size vary.
const (
	greyAvatarPath    = "POgEwh4mIHO4nibH0KlMECNjjGxQUq24ZEaGT4poC6icRiccVGKSyXwibcPq4BWmiaIGuG1icwxaQX6grC9VemZoJ8rg"
	defaultAvatarPath = "icTdbqWNOwNRna42FI242Lcia07jQodd2FJGIYQfG0LAJGFxM4FbnQP6yfMxBgJ0F3YRqJCJ1aPAK2dQagdusBZg"
)

// IsPlaceholder reports whether neither the nickname nor the avatar is a real one. Empty ones are not.
func (u UserInfo) IsPlaceholder() bool {
	u = u.WithoutPlaceholders()
	return u.NickName == "" && u.AvatarURL == ""
}

// WithoutPlaceholders returns the profile with an empty nickname or avatar if that is a placeholder. The other fields
// stay as WeChat sent them; the caller decides whether to store them. Since October 2021 Language is zh_CN for every
// user.
func (u UserInfo) WithoutPlaceholders() UserInfo {
	if strings.TrimSpace(u.NickName) == AnonymousNickName {
		u.NickName = ""
	}
	if isPlaceholderAvatar(u.AvatarURL) {
		u.AvatarURL = ""
	}
	return u
}

func isPlaceholderAvatar(address string) bool {
	u, err := url.Parse(strings.TrimSpace(address))
	return err == nil && (strings.Contains(u.Path, greyAvatarPath) || strings.Contains(u.Path, defaultAvatarPath))
}

// VerifySignature reports whether signature is WeChat's signature of rawData: the lower-case hex of SHA-1 over rawData
// followed by the session_key, both as text. The session_key is not decoded. rawData must be the exact string that the
// mini-program received; decoded and encoded again as JSON it no longer matches.
//
// The comparison takes constant time. With an empty sessionKey no signature is valid.
func VerifySignature(sessionKey, rawData, signature string) bool {
	if sessionKey == "" {
		return false
	}
	sum := sha1.New()
	sum.Write([]byte(rawData))
	sum.Write([]byte(sessionKey))
	want := hex.AppendEncode(nil, sum.Sum(nil))
	return subtle.ConstantTimeCompare(want, []byte(signature)) == 1
}

// SignData returns WeChat's signature of data: the lower-case hex of HMAC-SHA256. The key is the session_key as text; it
// is not decoded. Virtual payment (wx.requestVirtualPayment) needs it of its signData, under the user's newest
// session_key; the session API (checksession, resetusersessionkey, with sig_method=hmac_sha256) of the request's body,
// which is empty for a GET.
func SignData(sessionKey, data string) string {
	mac := hmac.New(sha256.New, []byte(sessionKey))
	mac.Write([]byte(data))
	return hex.EncodeToString(mac.Sum(nil))
}
