package wechat

import (
	"bytes"
	"crypto/subtle"
	"encoding/json"
	"unicode/utf8"
)

// Watermark says when, and for which mini-program, WeChat encrypted the data.
type Watermark struct {
	Timestamp int64  `json:"timestamp"` // Unix time, in seconds
	AppID     string `json:"appid"`
}

// maxTimestamp is the first second of the year 10000, which databases cannot store.
const maxTimestamp = 253402300800

// Owner is the mini-program and the user of encrypted data.
type Owner struct {
	AppID  string // always compared with the watermark
	OpenID string // compared with the data's openId, if it has one
}

func (want Owner) matches(openID string, w Watermark) bool {
	dated := w.Timestamp > 0 && w.Timestamp < maxTimestamp
	app := want.AppID != "" && subtle.ConstantTimeCompare([]byte(want.AppID), []byte(w.AppID)) == 1
	user := openID == "" || subtle.ConstantTimeCompare([]byte(want.OpenID), []byte(openID)) == 1
	return dated && app && user
}

// readWatermark reads the watermark if there is exactly one, with one time and one appid. Otherwise it returns the zero
// Watermark, which matches nothing.
func readWatermark(o jsonObject) Watermark {
	w := o.exactObject("watermark")
	appID, _ := w.exactText("appid")
	return Watermark{Timestamp: w.exactInteger("timestamp"), AppID: appID}
}

// DecryptData decrypts any open data of a user, such as that of wx.getWeRunData, wx.getGroupEnterInfo or
// wx.getShareInfo. It returns WeChat's JSON object as it is, without white space and BOMs around it: numbers keep all
// their digits.
//
// The data must be valid JSON in UTF-8. As in DecryptUserInfo, WeChat must have encrypted it for the mini-program
// want.AppID at a time after 1970, and if it names a user, this must be want.OpenID. The error is always ErrDecrypt.
//
// The data has no MAC, and the sender controls its first block by the iv. So data is refused if it looks like a part of
// a profile, whose nickname could be any value, or like a phone number that DecryptPhoneNumber does not accept.
func DecryptData(sessionKey, encryptedData, iv string, want Owner) (json.RawMessage, error) {
	plain, padded := decrypt(sessionKey, encryptedData, iv)
	// Parsed even if the padding is invalid, so that both cases take the same time.
	object := bytes.Trim(plain, aroundJSON)
	fields, isObject := readObject(object)
	openID, isExact := fields.exactText("openId")
	isValid := isObject && isExact && utf8.Valid(object) && json.Valid(object) && isWhole(fields, object)
	if !padded || !isValid || !want.matches(openID, readWatermark(fields)) {
		return nil, ErrDecrypt
	}
	return object, nil
}

// isWhole reports whether data is not obviously a part of other data: a profile has a nickname, and a phone number has
// all its fields.
func isWhole(fields jsonObject, text []byte) bool {
	if fields.has("avatarUrl") && !fields.has("nickName") {
		return false
	}
	if fields.has("phoneNumber", "purePhoneNumber") {
		_, _, ok := parsePhoneInfo(text)
		return ok
	}
	return true
}
