package wechat_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"strings"
	"testing"

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
