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

// PhoneNumber exchanges the code of a phone button (<button open-type="getPhoneNumber">) for the number, by
// POST /wxa/business/getuserphonenumber. WeChat itself checks that the code is of the user openID. accessToken is that of
// StableToken.
//
// The error is an *Error. KindInvalidCode: the user must press the button again; an empty or overlong code or
// openID is that without a call. For errors that are IsInvalidToken the code is still good.
//
// The code is single-use, and repeated as rarely as that of Code2Session.
func (c *Client) PhoneNumber(ctx context.Context, accessToken, openID, code string) (PhoneNumber, error) {
	if !plausibleCode(code) || !validID(openID) { // without an openid WeChat would not check whose code it is
		return PhoneNumber{}, &Error{Kind: KindInvalidCode, API: apiPhoneNumber, cause: causeNoCode}
	}
	r := request{
		api: apiPhoneNumber, spendsCode: true,
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
	return answer.number(), nil
}

// DecryptPhoneNumber decrypts the phone number that older mini-programs get with the button, as encryptedData and iv, and
// checks that it is one and that it was made for the mini-program want.AppID at a time after 1970. The data names no user,
// so that who it is must come from the session. The error is ErrDecrypt, whatever the fault.
//
// Open data has no MAC, and its first block is whatever the sender makes of it by the iv. So nothing is taken for a phone
// number that has less than all fields of one, or any field of a profile: a profile's data, cut to begin with the nickname
// and given {"phoneNumber":" for its first block, would otherwise be a number of the user's choice. A missing
// purePhoneNumber is derived from phoneNumber only if there is no field beside those of a phone number.
func DecryptPhoneNumber(sessionKey, encryptedData, iv string, want Owner) (PhoneNumber, error) {
	plain, sound := decrypt(sessionKey, encryptedData, iv)
	// Parsed even if the padding is unsound, for the same work in both cases.
	info, watermark, isPhone := parsePhoneInfo(plain)
	if !sound || !isPhone || !want.fits("", watermark) {
		return PhoneNumber{}, ErrDecrypt
	}
	return info.number(), nil
}

// phoneInfo is a phone number as WeChat writes it, without white space. A field that cannot be used is "".
type phoneInfo struct {
	full        string // phoneNumber: with the country code, if that is not China's
	pure        string // purePhoneNumber: without
	countryCode string // digits
}

func readPhoneInfo(o object) phoneInfo {
	return phoneInfo{
		full: o.numeral("phoneNumber"), pure: o.numeral("purePhoneNumber"), countryCode: readCountryCode(o),
	}
}

// readCountryCode reads a country code, such as 86: WeChat's documentation has a text, its sample a number. +86, 0086 and 86.0
// are the same; no country code begins with 0 (ITU-T E.164).
func readCountryCode(o object) string {
	code := o.numeral("countryCode")
	if n, ok := (value{kind: kindText, text: code}).integer(); ok {
		code = strconv.FormatInt(n, 10)
	}
	return strings.TrimLeft(strings.TrimPrefix(code, "+"), "0")
}

// derived returns the number with purePhoneNumber, if that cannot be used and phoneNumber has the country code: +8613….
func (i phoneInfo) derived() phoneInfo {
	national, hasCode := strings.CutPrefix(i.full, "+"+i.countryCode)
	if hasCode && i.countryCode != "" && !areDigits(i.pure, maxNationalNumber) {
		i.pure = national
	}
	return i
}

func (i phoneInfo) number() PhoneNumber {
	return PhoneNumber{CountryCode: i.countryCode, Number: Secret(i.pure)}
}

// missing returns the names of the fields that are missing or cannot be used.
func (i phoneInfo) missing() (names []string) {
	if !areDigits(i.pure, maxNationalNumber) {
		names = append(names, "purePhoneNumber")
	}
	if !areDigits(i.countryCode, maxCountryCode) {
		names = append(names, "countryCode")
	}
	return names
}

// profileFields are the names that are in a profile's data and in no phone number's.
var profileFields = []string{
	"openId", "nickName", "gender", "language", "city", "province", "country", "avatarUrl", "unionId",
}

// parsePhoneInfo reads a phone number's open data. It derives no number if there is any other field: its name can be garbage
// that joins the nickname of one text to the watermark of another.
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
	return info, readWatermark(o), len(info.missing()) == 0 && agrees && !o.has(profileFields...)
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

type phoneAnswer struct{ phoneInfo }

func (a *phoneAnswer) read(o object) (missing []string) {
	a.phoneInfo = readPhoneInfo(o.object("phone_info")).derived()
	return a.missing()
}

// encodeBody writes the JSON of a request. Its fields are texts and booleans, so that it cannot fail.
func encodeBody(fields any) []byte {
	body, err := json.Marshal(fields)
	if err != nil {
		panic("wechat: a request cannot be encoded: " + err.Error())
	}
	return body
}
