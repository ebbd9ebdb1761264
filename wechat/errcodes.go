package wechat

// ErrCodeBusy is WeChat's answer when it did nothing because it is busy: "try again". Its Kind is KindUnavailable.
const ErrCodeBusy = -1

// The errcodes that say that the access_token of a call is not valid.
const (
	errCodeBadCredential = 40001
	errCodeBadToken      = 40014
	errCodeTokenExpired  = 42001
)

// meaning is what an errcode means, and the text to say so.
type meaning struct {
	kind Kind
	text string
}

// errCodes are the errcodes that mean the same for every API, from WeChat's documentation of the APIs that this package calls
// (developers.weixin.qq.com/doc/oplatform/developers/errCode/errCode.html) and its community.
//
// Only -1, -1000 and 45011 pass within minutes: with -1000 WeChat says "system error" as with -1, but not that it did nothing.
// The daily quota (45009) is there again tomorrow, or when an operator resets it.
var errCodes = map[int]meaning{
	ErrCodeBusy: {KindUnavailable, "WeChat is busy"},
	-1000:       {KindUnavailable, "WeChat failed"},
	45011:       {KindRateLimited, "too many calls this minute"},

	errCodeBadCredential: {KindMisconfigured, "invalid credential"},
	errCodeBadToken:      {KindMisconfigured, "invalid access_token"},
	errCodeTokenExpired:  {KindMisconfigured, "access_token expired"},

	40002: {KindMisconfigured, "invalid grant_type"},
	40003: {KindMisconfigured, "invalid openid"},
	40013: {KindMisconfigured, "invalid appid"},
	40125: {KindMisconfigured, "invalid appsecret"},
	40164: {KindMisconfigured, "this server's IP address is not on the mini-program's whitelist"},
	40243: {KindMisconfigured, "appsecret frozen"},
	41002: {KindMisconfigured, "appid missing"},
	41004: {KindMisconfigured, "appsecret missing"},
	41008: {KindMisconfigured, "code missing"},
	43002: {KindMisconfigured, "POST is required"},
	43104: {KindMisconfigured, "the appid does not fit to the openid"},
	45009: {KindMisconfigured, "the daily quota of this API is used up"},
	47001: {KindMisconfigured, "the request cannot be read"},
	48001: {KindMisconfigured, "the mini-program may not use this API"},
	48004: {KindMisconfigured, "WeChat has banned the mini-program from this API"},
	50002: {KindMisconfigured, "the account is frozen or closed"},
	50004: {KindMisconfigured, "this API is forbidden to the account"},
	50007: {KindMisconfigured, "the account is frozen"},
	61024: {KindMisconfigured, "the mini-program may not make this call itself"},
	89501: {KindMisconfigured, "this server's IP address waits for the administrator's confirmation"},
	89503: {KindMisconfigured, "this server's IP address needs the administrator's confirmation"},
	89506: {KindMisconfigured, "the administrator has refused this server's IP address twice; it may call again in 24 hours"},
	89507: {KindMisconfigured, "the administrator has refused this server's IP address; it may call again in an hour"},
}

// codeErrCodes are about the code that an API takes, or about its user.
var codeErrCodes = map[int]meaning{
	40029: {KindInvalidCode, "invalid code"},
	40163: {KindInvalidCode, "code already used"},
	40226: {KindBlocked, "user blocked by WeChat"},
}

// phoneErrCodes are those of getuserphonenumber that mean something else than for other APIs: it takes no appid, and compares
// the access_token's with the code's.
var phoneErrCodes = map[int]meaning{40013: {KindInvalidCode, "another mini-program's code"}}

// classify returns what an errcode of an API means, and the text to say so.
func classify(api string, errCode int) (Kind, string) {
	tables := []map[int]meaning{errCodes}
	switch api {
	case apiCode2Session:
		tables = []map[int]meaning{codeErrCodes, errCodes}
	case apiPhoneNumber:
		tables = []map[int]meaning{phoneErrCodes, codeErrCodes, errCodes}
	}
	for _, table := range tables {
		if known, ok := table[errCode]; ok {
			return known.kind, known.text
		}
	}
	if errCode/100 == 410 {
		return KindMisconfigured, "a parameter is missing"
	}
	return KindMisconfigured, "unknown errcode"
}
