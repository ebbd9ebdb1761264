package wechat

import (
	"context"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
)

const (
	apiPhoneNumber = "getuserphonenumber"

	maxNationalNumber = 20 // digits
	maxCountryCode    = 4  // digits
)

// PhoneNumber is a phone number that WeChat has verified.
type PhoneNumber struct {
	CountryCode string `json:"-"` // 1 to 4 digits, such as 86
	Number      Secret `json:"-"` // the national number: 1 to 20 digits, without the country code
}

// PhoneNumber exchanges the code of a phone button (<button open-type="getPhoneNumber">) for the number, by POST
// /wxa/business/getuserphonenumber. WeChat itself checks that the code belongs to the user openID. accessToken is the
// result of StableToken.
//
// The error is an *Error. If its Kind is KindInvalidCode, the user must press the button again; an empty or overlong
// code or openID is KindInvalidCode without a call. If IsInvalidToken reports true, the code is still unused.
//
// The code is single-use. PhoneNumber is retried only in the cases of Code2Session.
func (c *Client) PhoneNumber(ctx context.Context, accessToken, openID, code string) (PhoneNumber, error) {
	if !isPlausibleCode(code) || !validID(openID) { // without an openid WeChat does not check the code's user
		return PhoneNumber{}, &Error{Kind: KindInvalidCode, API: apiPhoneNumber, cause: reasonNotACode}
	}
	r := request{
		api: apiPhoneNumber, spendsCode: true,
		path: "/wxa/business/getuserphonenumber", query: "access_token=" + url.QueryEscape(accessToken),
		body: encodeBody(struct {
			Code   string `json:"code"`
			OpenID string `json:"openid"`
		}{code, openID}),
	}
	var resp phoneResponse
	if err := c.call(ctx, r, &resp); err != nil {
		return PhoneNumber{}, err
	}
	return resp.number(), nil
}

// DecryptPhoneNumber decrypts the phone number that older mini-programs get from the button as encryptedData and iv. It
// checks that the data is a phone number and that WeChat encrypted it for the mini-program want.AppID at a time after
// 1970. The data does not name the user, so take the user from the session. The error is always ErrDecrypt.
//
// The data has no MAC, and the sender controls its first block by the iv. So it must have all fields of a phone number
// and none of a profile. Otherwise a user could choose the number: by cutting the data of a profile so that it begins
// with the nickname, and changing its first block to {"phoneNumber":". A missing purePhoneNumber is derived from
// phoneNumber only if there are no fields but those of a phone number.
func DecryptPhoneNumber(sessionKey, encryptedData, iv string, want Owner) (PhoneNumber, error) {
	plain, padded := decrypt(sessionKey, encryptedData, iv)
	// Parsed even if the padding is invalid, so that both cases take the same time.
	info, watermark, isPhone := parsePhoneInfo(plain)
	if !padded || !isPhone || !want.matches("", watermark) {
		return PhoneNumber{}, ErrDecrypt
	}
	return info.number(), nil
}

// phoneInfo holds the fields of WeChat's phone_info, without white space. An unusable field is "".
type phoneInfo struct {
	full        string // phoneNumber: with the country code, if that is not China's
	pure        string // purePhoneNumber: without
	countryCode string // digits
}

func readPhoneInfo(o jsonObject) phoneInfo {
	return phoneInfo{
		full: o.numeral("phoneNumber"), pure: o.numeral("purePhoneNumber"), countryCode: readCountryCode(o),
	}
}

// readCountryCode reads a country code, such as 86: a string in WeChat's documentation, a number in its sample. +86,
// 0086 and 86.0 mean the same; no country code begins with 0 (ITU-T E.164).
func readCountryCode(o jsonObject) string {
	code := o.numeral("countryCode")
	if n, ok := (jsonValue{typ: typeString, text: code}).integer(); ok {
		code = strconv.FormatInt(n, 10)
	}
	return strings.TrimLeft(strings.TrimPrefix(code, "+"), "0")
}

// derived sets an unusable purePhoneNumber from phoneNumber, if that begins with the country code: +8613….
func (i phoneInfo) derived() phoneInfo {
	national, hasCode := strings.CutPrefix(i.full, "+"+i.countryCode)
	if hasCode && i.countryCode != "" && !isDigits(i.pure, maxNationalNumber) {
		i.pure = national
	}
	return i
}

func (i phoneInfo) number() PhoneNumber {
	return PhoneNumber{CountryCode: i.countryCode, Number: Secret(i.pure)}
}

// missing returns the names of fields that are missing or unusable.
func (i phoneInfo) missing() (names []string) {
	if !isDigits(i.pure, maxNationalNumber) {
		names = append(names, "purePhoneNumber")
	}
	if !isDigits(i.countryCode, maxCountryCode) {
		names = append(names, "countryCode")
	}
	return names
}

// userInfoFields are the fields of a profile that a phone number does not have.
var userInfoFields = []string{
	"openId", "nickName", "gender", "language", "city", "province", "country", "avatarUrl", "unionId",
}

// parsePhoneInfo reads a decrypted phone number. It derives no number if there is any other field: its name can be
// garbage that joins the nickname of one ciphertext to the watermark of another.
func parsePhoneInfo(plain []byte) (info phoneInfo, w Watermark, ok bool) {
	o, ok := readObject(plain)
	if !ok {
		return phoneInfo{}, Watermark{}, false
	}
	info = readPhoneInfo(o)
	isBare := o.hasOnly("phoneNumber", "purePhoneNumber", "countryCode", "watermark")
	if isBare && o.text("purePhoneNumber") == "" {
		info = info.derived()
	}
	agrees := strings.HasSuffix(onlyDigits(info.full), info.pure)
	return info, readWatermark(o), len(info.missing()) == 0 && agrees && !o.has(userInfoFields...)
}

func isDigits(s string, most int) bool {
	return s != "" && len(s) <= most && onlyDigits(s) == s
}

// onlyDigits removes everything but digits.
func onlyDigits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

type phoneResponse struct{ phoneInfo }

func (r *phoneResponse) decode(o jsonObject) (missing []string) {
	r.phoneInfo = readPhoneInfo(o.object("phone_info")).derived()
	return r.missing()
}

// encodeBody returns the JSON of a request. The fields are strings and booleans, so encoding cannot fail.
func encodeBody(fields any) []byte {
	body, err := json.Marshal(fields)
	if err != nil {
		panic("wechat: a request cannot be encoded: " + err.Error())
	}
	return body
}
