package wechat

import (
	"crypto/subtle"
	"encoding/json"
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
type Expect struct {
	AppID  string // compared with the watermark, always
	OpenID string // compared with the data's openId, where it has one
}

// OpenUserInfo decrypts a user's profile and checks that it is one (a phone number's data is refused), that it was
// made for the mini-program want.AppID at a time after 1970, and, where it names a user, that this is want.OpenID. An
// empty want.AppID fits nothing. The error is ErrOpenData, whatever the fault.
func OpenUserInfo(sessionKey, encryptedData, iv string, want Expect) (UserInfo, error) {
	plain, sound := decrypt(sessionKey, encryptedData, iv)
	// Parsed even if the padding is unsound, for the same work in both cases.
	info, isProfile := parseUserInfo(plain)
	if !sound || !isProfile || !want.fits(info.OpenID, info.Watermark) {
		return UserInfo{}, ErrOpenData
	}
	return info, nil
}

func (want Expect) fits(openID string, w Watermark) bool {
	dated := w.Timestamp > 0 && w.Timestamp < endOfTime
	app := want.AppID != "" && subtle.ConstantTimeCompare([]byte(want.AppID), []byte(w.AppID)) == 1
	user := openID == "" || subtle.ConstantTimeCompare([]byte(want.OpenID), []byte(openID)) == 1
	return dated && app && user
}

// parseUserInfo reads a profile. What tells it from other open data under the same key is that it has a nickname or an
// avatar, even an empty one, and no phone number.
func parseUserInfo(plain []byte) (info UserInfo, ok bool) {
	var data struct {
		UserInfo
		NickName        *string          `json:"nickName"`  // in the place of UserInfo's
		AvatarURL       *string          `json:"avatarUrl"` // in the place of UserInfo's
		PhoneNumber     *json.RawMessage `json:"phoneNumber"`
		PurePhoneNumber *json.RawMessage `json:"purePhoneNumber"`
	}
	if json.Unmarshal(plain, &data) != nil {
		return UserInfo{}, false
	}
	info = data.UserInfo
	if data.NickName != nil {
		info.NickName = *data.NickName
	}
	if data.AvatarURL != nil {
		info.AvatarURL = *data.AvatarURL
	}
	isProfile := data.NickName != nil || data.AvatarURL != nil
	isPhone := data.PhoneNumber != nil || data.PurePhoneNumber != nil
	return info, isProfile && !isPhone
}
