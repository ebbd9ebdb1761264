package wechat

import "crypto/subtle"

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
