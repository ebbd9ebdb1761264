package wechat_test

import (
	"crypto/aes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

var testOwner = wechat.Owner{AppID: testAppID, OpenID: testOpenID}

// decryptData seals a plaintext and decrypts it for testOwner.
func decryptData(plain string) (json.RawMessage, error) {
	data, iv := wechattest.Seal(testKey, []byte(plain))
	return wechat.DecryptData(testKey, data, iv, testOwner)
}

func TestDecryptData(t *testing.T) {
	sample := loadOfficialSamples(t).OpenData
	for name, plain := range map[string]string{
		"steps":           `{"stepInfoList":[{"timestamp":1445866601,"step":100},{"timestamp":1445876601,"step":8}],` + testMark + `}`,
		"a group":         `{"openGId":"tGDCJ0UzP","chat_type":3,` + testMark + `}`,
		"unknown data":    `{ "a" : {"b":[true,null,"\u4e2d\/"]},` + testMark + ` }`,
		"nothing else":    `{` + testMark + `}`,
		"large numbers":   `{"id":18446744073709551615,"x":1.10,"e":1E400,"z":-0,` + testMark + `}`,
		"names and HTML":  `{"<&>":"<&>` + "\u2028" + `","A":1,"a":2,` + testMark + `}`,
		"the user":        `{"openId":"` + testOpenID + `",` + testMark + `}`,
		"a profile":       sample.Plaintext,
		"only a nickname": `{"nickName":"a",` + testMark + `}`,
		"a phone number":  `{` + testDigits + `,"countryCode":"86",` + testMark + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			for _, around := range []string{"", "\ufeff\r\n", " \t"} {
				if got, err := decryptData(around + plain + around); err != nil || string(got) != plain {
					t.Errorf("got %s, %v", got, err)
				}
			}
		})
	}
}

func TestDecryptData_Errors(t *testing.T) {
	const steps = `"stepInfoList":[]`
	for name, plain := range map[string]string{
		"nothing":                     ``,
		"no JSON":                     `stepInfoList`,
		"a list":                      `[{` + steps + `,` + testMark + `}]`,
		"null":                        `null`,
		"two objects":                 `{` + steps + `,` + testMark + `}{}`,
		"half an object":              `{` + steps + `,` + testMark,
		"a comma too many":            `{` + steps + `,` + testMark + `,}`,
		"bytes that are no UTF-8":     "{\"a\":\"\xff\"," + testMark + "}",
		"raw control characters":      "{\"a\":\"\n\"," + testMark + "}",
		"no watermark":                `{` + steps + `}`,
		"no time":                     `{` + steps + `,"watermark":{"timestamp":0,"appid":"` + testAppID + `"}}`,
		"no appid":                    `{` + steps + `,"watermark":{"timestamp":1637744274}}`,
		"another app":                 `{` + steps + `,"watermark":{"timestamp":1637744274,"appid":"wxother"}}`,
		"two watermarks":              `{` + testMark + `,` + testMark + `}`,
		"another user":                `{"openId":"o2",` + testMark + `}`,
		"another user in caps":        `{"OPENID":"o2",` + testMark + `}`,
		"another user, escaped":       `{"open\u0049d":"o2",` + testMark + `}`,
		"another user and the own":    `{"openId":"o2","openId":"` + testOpenID + `",` + testMark + `}`,
		"a user as a number":          `{"openId":1,` + testMark + `}`,
		"a part of a profile":         `{"openGId":"t1","gender":0,"avatarUrl":"",` + testMark + `}`,
		"a phone number in a profile": `{"nickName":"a","phoneNumber":"13800138000",` + testMark + `}`,
		"a part of a phone number":    `{"phoneNumber":"13800138000",` + testMark + `}`,
	} {
		if got, err := decryptData(plain); err != wechat.ErrDecrypt || got != nil {
			t.Errorf("%s: got %s, %v", name, got, err)
		}
	}
	data, iv := wechattest.Seal(testKey, []byte(`{`+steps+`,`+testMark+`}`))
	if _, err := wechat.DecryptData(testKey, data, iv, testOwner); err != nil {
		t.Fatalf("the complete one: %v", err)
	}
	for name, args := range map[string][3]string{
		"another key": {"AAAAAAAAAAAAAAAAAAAAAA==", data, iv},
		"a short iv":  {testKey, data, "AAAA"},
		"cut data":    {testKey, data[:64], iv},
	} {
		if got, err := wechat.DecryptData(args[0], args[1], args[2], testOwner); err != wechat.ErrDecrypt || got != nil {
			t.Errorf("%s: got %s, %v", name, got, err)
		}
	}
	if _, err := wechat.DecryptData(testKey, data, iv, wechat.Owner{OpenID: testOpenID}); err != wechat.ErrDecrypt {
		t.Errorf("an owner without appid: %v", err)
	}
}

// forgeFromProfile returns data of a user whose nickname ends with value: the data of the own profile, cut so that it
// begins with value, behind a first block that the user has chosen by the iv. That needs no key.
func forgeFromProfile(t *testing.T, first, value string) (encryptedData, iv string) {
	t.Helper()
	const head = `{"openId":"` + testOpenID + `","nickName":"`
	nickname := strings.Repeat("x", aes.BlockSize-len(head)%aes.BlockSize) + value
	plain := head + nickname + `","gender":1,"language":"zh_CN","city":"","province":"","country":"","avatarUrl":"",` + testMark + `}`
	sealed, _ := wechattest.Seal(testKey, []byte(plain))
	data, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		t.Fatal(err)
	}
	cut := strings.Index(plain, value) - aes.BlockSize // the block before the value
	vector := make([]byte, aes.BlockSize)
	for i := range vector {
		vector[i] = data[cut-aes.BlockSize+i] ^ plain[cut+i] ^ first[i]
	}
	encryptedData, iv = encode64(data[cut:]), encode64(vector)
	decrypted, err := wechat.Decrypt(testKey, encryptedData, iv)
	if err != nil || !strings.HasPrefix(string(decrypted), first+value+`","gender"`) || !json.Valid(decrypted) {
		t.Fatalf("the forgery is none: %v", err)
	}
	return encryptedData, iv
}

func TestDecryptData_ForgedFromProfile(t *testing.T) {
	for _, first := range []string{`{"phoneNumber":"`, `{"openGId":    "`, `{"stepCount":  "`} {
		data, iv := forgeFromProfile(t, first, "13900139000")
		if got, err := wechat.DecryptData(testKey, data, iv, testOwner); err != wechat.ErrDecrypt || got != nil {
			t.Errorf("forged data was taken: %s, %v", got, err)
		}
	}
}

// Any plaintext is returned unchanged, as one JSON object of the owner, or refused.
func FuzzDecryptData(f *testing.F) {
	f.Add([]byte(loadOfficialSamples(f).OpenData.Plaintext))
	f.Add([]byte(`{"stepInfoList":[{"timestamp":1,"step":1e400}],` + testMark + `}`))
	f.Add([]byte("\ufeff{\"openId\":\"" + testOpenID + "\"," + testMark + "} "))
	f.Add([]byte(`{"openGId":"a","avatarUrl":"",` + testMark + `}`))
	f.Add([]byte(`{"a":"` + "\xff" + `"}`))
	f.Add([]byte(``))
	f.Fuzz(func(t *testing.T, plain []byte) {
		if len(plain) > 60<<10 {
			return
		}
		got, err := decryptData(string(plain))
		if err != nil {
			if err != wechat.ErrDecrypt || got != nil {
				t.Errorf("got %s, %v", got, err)
			}
			return
		}
		var fields struct {
			OpenID    string
			Watermark wechat.Watermark
		}
		if err := json.Unmarshal(got, &fields); err != nil || !strings.Contains(string(plain), string(got)) {
			t.Fatalf("returned %q, %v", got, err)
		}
		if fields.Watermark.AppID != testAppID || fields.OpenID != "" && fields.OpenID != testOpenID {
			t.Errorf("returned data of %+v", fields)
		}
	})
}
