package wechat

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
)

const (
	apiPhoneNumber = "getuserphonenumber"

	maxNationalNumber = 20 // digits
	maxCountryCode    = 4  // digits
)

// PhoneNumber is a phone number that WeChat has verified. It is personal: printing it, with any verb, or logging it shows
// nothing of it, and neither does its JSON.
type PhoneNumber struct {
	CountryCode string `json:"-"` // 1 to 4 digits, such as 86
	Number      string `json:"-"` // the national number: 1 to 20 digits, without the country code
}

// PhoneNumber exchanges the code of a phone button (<button open-type="getPhoneNumber">) for the number, by
// POST /wxa/business/getuserphonenumber. WeChat itself checks that the code is of the user openID. accessToken is that of
// StableToken.
//
// The error is an *Error. KindInvalidCode: the user must press the button again; an empty or overlong code or
// openID is that without a call. For errors that are TokenRefused the code is still good.
//
// The code is single-use, and repeated as rarely as that of Code2Session.
func (c *Client) PhoneNumber(ctx context.Context, accessToken, openID, code string) (PhoneNumber, error) {
	if !plausibleCode(code) || !validID(openID) { // without an openid WeChat would not check whose code it is
		return PhoneNumber{}, &Error{Kind: KindInvalidCode, API: apiPhoneNumber, cause: causeNoCode}
	}
	r := request{
		api: apiPhoneNumber, aboutUser: true,
		path: "/wxa/business/getuserphonenumber", query: "access_token=" + url.QueryEscape(accessToken),
		body: encodeBody(struct {
			Code   string `json:"code"`
			OpenID string `json:"openid"`
		}{code, openID}),
	}
	var answer phoneAnswer
	if err := c.call(ctx, r, &answer); err != nil {
		return PhoneNumber{}, err
	}
	return answer.PhoneInfo.number(), nil
}

// OpenPhoneNumber decrypts the phone number that older mini-programs get with the button, as encryptedData and iv, and
// checks that it is one and that it was made for the mini-program want.AppID at a time after 1970. The data names no user,
// so that who it is must come from the session. The error is ErrOpenData, whatever the fault.
//
// Open data has no MAC, and its first block is whatever the sender makes of it by the iv. So nothing is taken for a phone
// number that has less than all fields of one, or any field of a profile: a profile's data, cut to begin with the nickname
// and given {"phoneNumber":" for its first block, would otherwise be a number of the user's choice.
func OpenPhoneNumber(sessionKey, encryptedData, iv string, want Expect) (PhoneNumber, error) {
	plain, sound := decrypt(sessionKey, encryptedData, iv)
	// Parsed even if the padding is unsound, for the same work in both cases.
	info, isPhone := parsePhoneInfo(plain)
	if !sound || !isPhone || !want.fits("", info.Watermark) {
		return PhoneNumber{}, ErrOpenData
	}
	return info.number(), nil
}

// phoneInfo is a phone number as WeChat writes it.
type phoneInfo struct {
	PhoneNumber     string      `json:"phoneNumber"`     // with the country code, where that is not China's
	PurePhoneNumber string      `json:"purePhoneNumber"` // without
	CountryCode     json.Number `json:"countryCode"`     // text or number; json.Number reads both
	Watermark       Watermark   `json:"watermark"`
}

func (i phoneInfo) number() PhoneNumber {
	return PhoneNumber{CountryCode: i.CountryCode.String(), Number: i.PurePhoneNumber}
}

func (i phoneInfo) valid() bool {
	return areDigits(i.PurePhoneNumber, maxNationalNumber) && areDigits(i.CountryCode.String(), maxCountryCode)
}

// parsePhoneInfo reads a phone number's open data.
func parsePhoneInfo(plain []byte) (info phoneInfo, ok bool) {
	var profile struct {
		OpenID    *json.RawMessage `json:"openId"`
		NickName  *json.RawMessage `json:"nickName"`
		Gender    *json.RawMessage `json:"gender"`
		Language  *json.RawMessage `json:"language"`
		City      *json.RawMessage `json:"city"`
		Province  *json.RawMessage `json:"province"`
		Country   *json.RawMessage `json:"country"`
		AvatarURL *json.RawMessage `json:"avatarUrl"`
		UnionID   *json.RawMessage `json:"unionId"`
	}
	if json.Unmarshal(plain, &profile) != nil || json.Unmarshal(plain, &info) != nil {
		return phoneInfo{}, false
	}
	isProfile := profile.OpenID != nil || profile.UnionID != nil || profile.NickName != nil || profile.AvatarURL != nil ||
		profile.Gender != nil || profile.Language != nil ||
		profile.City != nil || profile.Province != nil || profile.Country != nil
	agrees := strings.HasSuffix(onlyDigits(info.PhoneNumber), info.PurePhoneNumber)
	return info, info.valid() && agrees && !isProfile
}

func areDigits(s string, most int) bool {
	return s != "" && len(s) <= most && onlyDigits(s) == s
}

// onlyDigits takes everything but digits out of s.
func onlyDigits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

type phoneAnswer struct {
	status
	PhoneInfo phoneInfo `json:"phone_info"`
}

func (a *phoneAnswer) reset() { *a = phoneAnswer{} }

func (a *phoneAnswer) check() cause {
	if !a.PhoneInfo.valid() {
		return causeNoPhone
	}
	return ""
}

// encodeBody writes the JSON of a request. Its fields are texts and booleans, so that it cannot fail.
func encodeBody(fields any) []byte {
	body, err := json.Marshal(fields)
	if err != nil {
		panic("wechat: a request cannot be encoded: " + err.Error())
	}
	return body
}
