package wechat_test

import (
	"strings"
	"testing"

	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

func TestVerifySignature(t *testing.T) {
	s := loadOfficial(t).RawDataSignature
	tests := map[string]struct {
		key, rawData, signature string
		want                    bool
	}{
		"official_sample":    {s.SessionKey, s.RawData, s.Signature, true},
		"another_key":        {testKey, s.RawData, s.Signature, false},
		"rewritten_raw_data": {s.SessionKey, strings.ReplaceAll(s.RawData, "/", `\/`), s.Signature, false},
		"cut_signature":      {s.SessionKey, s.RawData, s.Signature[:39], false},
		"upper_case":         {s.SessionKey, s.RawData, strings.ToUpper(s.Signature), false},
		"no_signature":       {s.SessionKey, s.RawData, "", false},
		"no_key":             {"", s.RawData, wechattest.Sign("", s.RawData), false},
		"no_raw_data":        {s.SessionKey, "", wechattest.Sign(s.SessionKey, ""), true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := wechat.VerifySignature(test.key, test.rawData, test.signature); got != test.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

func TestSessionSignature(t *testing.T) {
	s := loadOfficial(t).SessionHMAC
	if got := wechat.SessionSignature(s.SessionKey, s.Body); got != s.Signature {
		t.Errorf("got %s, want the official %s", got, s.Signature)
	}
	const empty = "46e043c5525c2d817c44be603d30837a808a1d930d038f6fdc3e62a201fed128"
	if got := wechat.SessionSignature(s.SessionKey, ""); got != empty {
		t.Errorf("of an empty body: got %s, want %s", got, empty)
	}
}
