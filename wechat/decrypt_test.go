package wechat_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"wxlogin/wechat"
	"wxlogin/wechat/wechattest"
)

func TestDecrypt(t *testing.T) {
	t.Run("decrypts the official sample", func(t *testing.T) {
		sample := loadOfficialSamples(t).OpenData
		for name, data := range damagedBase64(sample.EncryptedData) {
			t.Run(name, func(t *testing.T) {
				plain, err := wechat.Decrypt(sample.SessionKey, data, sample.IV)
				if err != nil {
					t.Fatal(err)
				}
				if string(plain) != sample.Plaintext {
					t.Errorf("got %q", plain)
				}
			})
		}
	})

	t.Run("decrypts every length", func(t *testing.T) {
		for n := range 70 {
			want := bytes.Repeat([]byte{byte(n)}, n)
			data, iv := wechattest.Seal(testKey, want)
			if got, err := wechat.Decrypt(testKey, data, iv); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes: got %x, %v", n, got, err)
			}
		}
	})
}

// sealRaw encrypts whole blocks without padding them.
func sealRaw(t testing.TB, blocks []byte) (encryptedData, iv string) {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(testKey)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	vector := make([]byte, aes.BlockSize)
	data := make([]byte, len(blocks))
	cipher.NewCBCEncrypter(block, vector).CryptBlocks(data, blocks)
	return base64.StdEncoding.EncodeToString(data), base64.StdEncoding.EncodeToString(vector)
}

func TestDecrypt_Errors(t *testing.T) {
	sample := loadOfficialSamples(t).OpenData
	b64 := base64.StdEncoding.EncodeToString
	type args struct{ key, data, iv string }
	tests := map[string]args{
		"all empty":           {},
		"an empty key":        {"", sample.EncryptedData, sample.IV},
		"a key of 15 bytes":   {b64(make([]byte, 15)), sample.EncryptedData, sample.IV},
		"a key of 24 bytes":   {b64(make([]byte, 24)), sample.EncryptedData, sample.IV},
		"a key of 32 bytes":   {b64(make([]byte, 32)), sample.EncryptedData, sample.IV},
		"a key not base64":    {"!", sample.EncryptedData, sample.IV},
		"another key":         {"HyVFkGl5F5OQWJZZaNzBBg==", sample.EncryptedData, sample.IV},
		"an empty iv":         {sample.SessionKey, sample.EncryptedData, ""},
		"a short iv":          {sample.SessionKey, sample.EncryptedData, b64(make([]byte, 4))},
		"a long iv":           {sample.SessionKey, sample.EncryptedData, b64(make([]byte, 17))},
		"an iv not base64":    {sample.SessionKey, sample.EncryptedData, "r7BXXKkLb8qrSNn05n0qi"},
		"no data":             {sample.SessionKey, "", sample.IV},
		"data not base64":     {sample.SessionKey, "{}", sample.IV},
		"data of 1 byte":      {sample.SessionKey, b64(make([]byte, 1)), sample.IV},
		"data of 15 bytes":    {sample.SessionKey, b64(make([]byte, 15)), sample.IV},
		"data of 17 bytes":    {sample.SessionKey, b64(make([]byte, 17)), sample.IV},
		"data cut by a block": {sample.SessionKey, sample.EncryptedData[:len(sample.EncryptedData)-64], sample.IV},
		"data over 64 KiB":    {sample.SessionKey, b64(make([]byte, 64<<10+16)), sample.IV},
		"data without end":    {sample.SessionKey, strings.Repeat("A", 1<<20), sample.IV},
	}
	for name, last := range map[string][]byte{
		"padding 0":             append(make([]byte, 15), 0),
		"padding 17":            append(bytes.Repeat([]byte{17}, 15), 17),
		"padding 255":           bytes.Repeat([]byte{255}, 16),
		"padding 32":            bytes.Repeat([]byte{32}, 16),
		"padding 2 of 1 and 2":  append(make([]byte, 14), 1, 2),
		"padding 16 but first":  append([]byte{15}, bytes.Repeat([]byte{16}, 15)...),
		"padding 16 but middle": append(append(bytes.Repeat([]byte{16}, 8), 9), bytes.Repeat([]byte{16}, 7)...),
	} {
		data, iv := sealRaw(t, last)
		tests[name] = args{testKey, data, iv}
		data, iv = sealRaw(t, append(bytes.Repeat([]byte{'x'}, 32), last...))
		tests[name+"_after_data"] = args{testKey, data, iv}
	}
	for name, a := range tests {
		t.Run(name, func(t *testing.T) {
			plain, err := wechat.Decrypt(a.key, a.data, a.iv)
			if err != wechat.ErrDecrypt || plain != nil {
				t.Errorf("got %q, %v", plain, err)
			}
			_, err = wechat.DecryptUserInfo(a.key, a.data, a.iv, wechat.Owner{AppID: sample.AppID})
			if err != wechat.ErrDecrypt {
				t.Errorf("DecryptUserInfo: %v", err)
			}
		})
	}
}

// For each of the 256 last bytes, exactly the padding that PKCS#7 allows is accepted.
func TestDecrypt_Padding(t *testing.T) {
	for last := range 256 {
		for run := 1; run <= 16; run++ {
			block := bytes.Repeat([]byte{0xee}, 16)
			for i := 16 - run; i < 16; i++ {
				block[i] = byte(last)
			}
			data, iv := sealRaw(t, block)
			plain, err := wechat.Decrypt(testKey, data, iv)
			want := last >= 1 && last <= 16 && run >= last
			if (err == nil) != want || want && !bytes.Equal(plain, block[:16-last]) {
				t.Fatalf("last byte %d, %d times: got %x, %v", last, run, plain, err)
			}
		}
	}
}

func TestDecodeBase64(t *testing.T) {
	t.Run("repairs and refuses", func(t *testing.T) {
		tests := map[string]struct {
			in   string
			want string // hexadecimal escapes; ignored where fails
			bad  bool
		}{
			"empty":                    {"", "", false},
			"standard":                 {"+/+/AA==", "\xfb\xff\xbf\x00", false},
			"space for plus":           {" / /AA==", "\xfb\xff\xbf\x00", false},
			"url safe":                 {"-_-_AA==", "\xfb\xff\xbf\x00", false},
			"mixed":                    {"-/ _AA==", "\xfb\xff\xbf\x00", false},
			"unpadded":                 {"+/+/AA", "\xfb\xff\xbf\x00", false},
			"stray line ends and tabs": {"\t+/\r\n+/AA\n==\r\n", "\xfb\xff\xbf\x00", false},
			"half padded":              {"AA=", "", true},
			"padded too much":          {"AA===", "", true},
			"padding alone":            {"====", "", true},
			"padding within":           {"AA==AAAA", "", true},
			"one character left":       {"AAAAA", "", true},
			"bits left over":           {"AB==", "", true},
			"garbage":                  {"AA*A", "", true},
			"percent":                  {"AA%3D%3D", "", true},
			"nul":                      {"AA\x00A", "", true},
			"another script":           {"ＡＡＡＡ", "", true},
		}
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				got, err := wechat.DecodeBase64(test.in)
				if (err != nil) != test.bad || string(got) != test.want {
					t.Errorf("got %x, %v", got, err)
				}
			})
		}
	})

	// Every byte survives every kind of damage.
	t.Run("repairs every byte", func(t *testing.T) {
		raw := make([]byte, 256)
		for i := range raw {
			raw[i] = byte(255 - i)
		}
		for n := range len(raw) {
			std := base64.StdEncoding.EncodeToString(raw[:n])
			for name, in := range damagedBase64(std) {
				if got, err := wechat.DecodeBase64(in); err != nil || !bytes.Equal(got, raw[:n]) {
					t.Fatalf("%d bytes, %s: got %x, %v", n, name, got, err)
				}
			}
		}
	})
}

// damagedBase64 returns the damaged forms of base64 that servers receive.
func damagedBase64(std string) map[string]string {
	urlSafe := strings.NewReplacer("+", "-", "/", "_").Replace(std)
	half := len(std) / 2
	return map[string]string{
		"as it was":        std,
		"space for plus":   strings.ReplaceAll(std, "+", " "),
		"url safe":         urlSafe,
		"unpadded":         strings.TrimRight(std, "="),
		"url unpadded":     strings.TrimRight(urlSafe, "="),
		"wrapped":          std[:half] + "\r\n" + std[half:] + "\n",
		"spaces and wraps": strings.ReplaceAll(std[:half]+"\n\t"+std[half:], "+", " "),
	}
}

func encode64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// Decoded bytes are encoded to the same base64, apart from the repairs.
func FuzzDecodeBase64(f *testing.F) {
	for _, s := range []string{"", "AA==", "AA", "+/+/", "-_ /", "A\r\nA\t==", "AA=", "AB==", "====", "%3D"} {
		f.Add(s)
	}
	repair := strings.NewReplacer(" ", "+", "-", "+", "_", "/", "\r", "", "\n", "", "\t", "")
	f.Fuzz(func(t *testing.T, s string) {
		raw, err := wechat.DecodeBase64(s)
		if err != nil {
			return
		}
		if got, want := strings.TrimRight(encode64(raw), "="), strings.TrimRight(repair.Replace(s), "="); got != want {
			t.Errorf("%q was read as %q", s, got)
		}
	})
}

// Decrypt never panics, and its error is always ErrDecrypt.
func FuzzDecrypt(f *testing.F) {
	sample := loadOfficialSamples(f).OpenData
	f.Add(sample.SessionKey, sample.EncryptedData, sample.IV)
	f.Add(sample.SessionKey, sample.EncryptedData, "AAAA")
	f.Add(sample.SessionKey, "AAAA", sample.IV)
	f.Add("", "", "")
	f.Fuzz(func(t *testing.T, key, data, iv string) {
		plain, err := wechat.Decrypt(key, data, iv)
		if err != nil && (err != wechat.ErrDecrypt || plain != nil) {
			t.Errorf("got %q, %v", plain, err)
		}
		want := wechat.Owner{AppID: sample.AppID, OpenID: "o1"}
		if _, err := wechat.DecryptUserInfo(key, data, iv, want); err != nil && err != wechat.ErrDecrypt {
			t.Error(err)
		}
		if _, err := wechat.DecryptData(key, data, iv, want); err != nil && err != wechat.ErrDecrypt {
			t.Error(err)
		}
	})
}

// Encrypted data can be decrypted, and DecryptUserInfo accepts or refuses any plaintext.
func FuzzDecryptUserInfo(f *testing.F) {
	f.Add([]byte(loadOfficialSamples(f).OpenData.Plaintext))
	f.Add([]byte(`{"phoneNumber":"1","watermark":{"appid":"` + testAppID + `"}}`))
	f.Add([]byte(`{"nickName":null}`))
	f.Add([]byte(``))
	f.Fuzz(func(t *testing.T, plain []byte) {
		if len(plain) > 60<<10 {
			return
		}
		data, iv := wechattest.Seal(testKey, plain)
		got, err := wechat.Decrypt(testKey, data, iv)
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("got %q, %v", got, err)
		}
		info, err := wechat.DecryptUserInfo(testKey, data, iv, wechat.Owner{AppID: testAppID, OpenID: "o1"})
		if err != nil && err != wechat.ErrDecrypt {
			t.Error(err)
		}
		if err == nil && (info.Watermark.AppID != testAppID || info.OpenID != "" && info.OpenID != "o1") {
			t.Errorf("decrypted %+v", info)
		}
	})
}

// Any response is a complete session or an *Error.
func FuzzClient_Code2Session(f *testing.F) {
	f.Add(200, []byte(goodResponse))
	f.Add(200, []byte(busyResponse))
	f.Add(200, []byte(`{"errcode":40029,"errmsg":"invalid code, rid: 652d44d0-1d0af18b-5b069232"}`))
	f.Add(200, []byte(`{"errcode":1e400}`))
	f.Add(200, []byte("\ufeff{\"openid\":\"o1\",\"session_key\":\"tiihtNczf5v6AKRyjwEUhQ==\",\"unionid\":\"\xff\n\"}"))
	f.Add(200, []byte(` {"openid":5,"errcode":-1}`))
	f.Add(200, []byte(`{"openid":"o1"}x`))
	f.Add(200, []byte(`null`))
	f.Add(502, []byte(`<html>`))
	f.Add(0, []byte(nil))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		client := newClient(t, wechat.Options{
			Timeout: 20 * time.Millisecond, // no pause fits into it
			Transport: roundTrip(func(*http.Request) (*http.Response, error) {
				return response(status, string(body)), nil
			}),
		})
		s, err := client.Code2Session(t.Context(), testCode)
		if err == nil {
			key, keyErr := wechat.DecodeBase64(string(s.SessionKey))
			if s.OpenID == "" || keyErr != nil || len(key) != 16 || status != 200 {
				t.Errorf("got %v", s)
			}
			return
		}
		e, ok := errors.AsType[*wechat.Error](err)
		if !ok || s != (wechat.Session{}) || wechat.KindOf(err) == wechat.KindUnknown {
			t.Fatalf("got %v, %v", s, err)
		}
		var object map[string]json.RawMessage
		isObject := json.Unmarshal(body, &object) == nil && object != nil
		if want := status == 200 && e.ErrCode == 0; isObject && (e.Kind == wechat.KindUnusable) != want {
			t.Errorf("%q is %s", body, e.Kind)
		}
		assertClean(t, err, testSecret, testCode)
	})
}

func BenchmarkCode2Session(b *testing.B) {
	client := newClient(b, wechat.Options{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		return response(http.StatusOK, goodResponse), nil
	})})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Code2Session(b.Context(), testCode); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecrypt(b *testing.B) {
	sample := loadOfficialSamples(b).OpenData
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wechat.Decrypt(sample.SessionKey, sample.EncryptedData, sample.IV); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecryptUserInfo(b *testing.B) {
	sample := loadOfficialSamples(b).OpenData
	want := wechat.Owner{AppID: sample.AppID, OpenID: "oGZUI0egBJY1zhBYw2KhdUfwVJJE"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wechat.DecryptUserInfo(sample.SessionKey, sample.EncryptedData, sample.IV, want); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifySignature(b *testing.B) {
	s := loadOfficialSamples(b).RawDataSignature
	b.ReportAllocs()
	for b.Loop() {
		if !wechat.VerifySignature(s.SessionKey, s.RawData, s.Signature) {
			b.Fatal("not verified")
		}
	}
}
