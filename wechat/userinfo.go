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

// Watermark says when and for which mini-program WeChat made open data.
type Watermark struct {
	Timestamp int64  `json:"timestamp"` // Unix time, in seconds
	AppID     string `json:"appid"`
}

// UserInfo is a user's profile as WeChat encrypts it for wx.getUserInfo and wx.getUserProfile. The latter has no
// OpenID and no UnionID, so that who it is must come from the session.
//
// The fields are as WeChat sent them. Since 2021 and 2022 that is mostly its anonymous placeholder: see Real and
// Anonymous.
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

// endOfTime is the first second of the year 10000, which no database's calendar has.
const endOfTime = 253402300800

// Expect says whose data is expected.
type Owner struct {
	AppID  string // compared with the watermark, always
	OpenID string // compared with the data's openId, where it has one
}

// DecryptUserInfo decrypts a user's profile and checks that it is one (a phone number's data is refused), that it was
// made for the mini-program want.AppID at a time after 1970, and, where it names a user, that this is want.OpenID. An
// empty want.AppID fits nothing. The error is ErrDecrypt, whatever the fault.
func DecryptUserInfo(sessionKey, encryptedData, iv string, want Owner) (UserInfo, error) {
	plain, sound := decrypt(sessionKey, encryptedData, iv)
	// Parsed even if the padding is unsound, for the same work in both cases.
	info, isProfile := parseUserInfo(plain)
	if !sound || !isProfile || !want.fits(info.OpenID, info.Watermark) {
		return UserInfo{}, ErrDecrypt
	}
	return info, nil
}

func (want Owner) fits(openID string, w Watermark) bool {
	dated := w.Timestamp > 0 && w.Timestamp < endOfTime
	app := want.AppID != "" && subtle.ConstantTimeCompare([]byte(want.AppID), []byte(w.AppID)) == 1
	user := openID == "" || subtle.ConstantTimeCompare([]byte(want.OpenID), []byte(openID)) == 1
	return dated && app && user
}

// parseUserInfo reads a profile. What tells it from other open data under the same key is that it has a nickname or an
// avatar, even an empty one, and no phone number.
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

// readWatermark reads a watermark that is given once, with one time and one appid. Any other is the zero Watermark, which fits
// nothing.
func readWatermark(o object) Watermark {
	w := o.exactObject("watermark")
	appID, _ := w.exactText("appid")
	return Watermark{Timestamp: w.exactInteger("timestamp"), AppID: appID}
}

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

// VerifySignature reports whether signature is WeChat's over rawData: the lower-case hex of SHA-1 over rawData followed
// by the session_key, both as text. The session_key is not decoded. rawData must be the very string that the
// mini-program received: read and written again as JSON it no longer fits.
//
// It takes the same time wherever the signature differs. An empty sessionKey verifies nothing.
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

// SessionSignature returns the signature that WeChat's session API (checksession, resetusersessionkey) asks for with
// sig_method=hmac_sha256: the lower-case hex of HMAC-SHA256 over the request's body, empty for a GET, with the
// session_key as text for its key.
func SessionSignature(sessionKey, body string) string {
	mac := hmac.New(sha256.New, []byte(sessionKey))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}
