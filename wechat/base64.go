package wechat

import (
	"encoding/base64"
	"errors"
	"strings"
)

var errBase64 = errors.New("wechat: not base64")

// travelled undoes what forms, URLs and line wrapping do to base64. A space can only have been a '+', which
// application/x-www-form-urlencoded reads as a space.
var travelled = strings.NewReplacer(" ", "+", "-", "+", "_", "/", "\r", "", "\n", "", "\t", "")

// DecodeBase64 decodes base64 that travelled badly: with spaces in place of '+', in the URL-safe alphabet, without
// padding, or with stray CR, LF and tabs. Beyond that it is strict: any other character, a wrong length, wrong padding
// and bits that no encoder leaves set are errors. The error is always the same and holds nothing of s.
//
// A value has one reading only, whichever way it came, so that repairing cannot make one value into another valid one.
func DecodeBase64(s string) ([]byte, error) {
	s = travelled.Replace(s)
	digits := strings.TrimRight(s, "=")
	if padding := len(s) - len(digits); padding != 0 && (padding > 2 || len(s)%4 != 0) {
		return nil, errBase64
	}
	raw, err := base64.RawStdEncoding.Strict().DecodeString(digits)
	if err != nil {
		return nil, errBase64
	}
	return raw, nil
}
