package wechat

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
)

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
