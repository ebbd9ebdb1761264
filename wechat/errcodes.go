package wechat

// ErrCodeBusy is WeChat's answer when it did nothing because it is busy: "try again". Its Kind is KindUnavailable.
const ErrCodeBusy = -1

// The errcodes that say that the access_token of a call is not valid.
const (
	errCodeBadCredential = 40001
	errCodeBadToken      = 40014
	errCodeTokenExpired  = 42001
)

// errCodes are the errcodes that are known, from WeChat's documentation of the APIs that this package calls and its
// community.
var errCodes = map[int]struct {
	kind Kind
	text string
}{
	ErrCodeBusy: {KindUnavailable, "WeChat is busy"},

	errCodeBadCredential: {KindMisconfigured, "invalid credential"},
	errCodeBadToken:      {KindMisconfigured, "invalid access_token"},
	errCodeTokenExpired:  {KindMisconfigured, "access_token expired"},

	40002: {KindMisconfigured, "invalid grant_type"},
	40013: {KindMisconfigured, "invalid appid"},
	40029: {KindInvalidCode, "invalid code"},
	40125: {KindMisconfigured, "invalid appsecret"},
	40163: {KindInvalidCode, "code already used"},
	40164: {KindMisconfigured, "this server's IP address is not on the mini-program's whitelist"},
	40226: {KindBlocked, "user blocked by WeChat"},
	40243: {KindMisconfigured, "appsecret frozen"},
	41002: {KindMisconfigured, "appid missing"},
	41004: {KindMisconfigured, "appsecret missing"},
	41008: {KindMisconfigured, "code missing"},
	45009: {KindMisconfigured, "the daily quota of this API is used up"},
	45011: {KindRateLimited, "too many calls this minute"},
	48001: {KindMisconfigured, "the mini-program may not use this API"},
}

// classify returns what an errcode means, and the text to say so.
func classify(_ string, errCode int) (Kind, string) {
	if known, ok := errCodes[errCode]; ok {
		return known.kind, known.text
	}
	if errCode/100 == 410 {
		return KindMisconfigured, "a parameter is missing"
	}
	return KindUnavailable, "unknown errcode"
}
