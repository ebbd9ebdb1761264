package wechat

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strings"
)

// maxOpenData bounds encryptedData, in bytes after decoding. A real one has some hundred.
const maxOpenData = 64 << 10

// ErrDecrypt is the one error for data that cannot be opened: bad base64 or lengths, padding, JSON, another app's
// watermark, another user's openId. It is never wrapped and never tells which. AES-CBC here carries no MAC: who can
// tell a padding error from another one can decrypt and forge data without the key.
var ErrDecrypt = errors.New("wechat: open data cannot be opened")

// Decrypt opens WeChat's encryptedData: AES-128-CBC with PKCS#7 padding over 16-byte blocks. The three arguments are
// base64, repaired as DecodeBase64 does; key and iv are 16 bytes, the data at most 64 KiB.
//
// It says nothing about who made the data: check the watermark, as DecryptUserInfo does. The padding is checked in
// constant time, so that the time taken tells nothing of the plaintext either. The error is ErrDecrypt.
func Decrypt(sessionKey, encryptedData, iv string) ([]byte, error) {
	plain, sound := decrypt(sessionKey, encryptedData, iv)
	if !sound {
		return nil, ErrDecrypt
	}
	return plain, nil
}

// ValidEncryptedData reports whether s can be open data at all: base64, repaired as DecodeBase64 does, of whole blocks of 16
// bytes, one at least and 64 KiB at most. That depends on no key, so that saying so betrays nothing.
func ValidEncryptedData(s string) bool {
	_, ok := decodeEncryptedData(s)
	return ok
}

// ValidIV reports whether s can be the iv of open data: base64, repaired as DecodeBase64 does, of 16 bytes.
func ValidIV(s string) bool {
	_, ok := decodeBlock(s)
	return ok
}

func decodeEncryptedData(s string) (data []byte, ok bool) {
	if len(s) > 2*maxOpenData {
		return nil, false
	}
	data, err := DecodeBase64(s)
	return data, err == nil && len(data) != 0 && len(data)%aes.BlockSize == 0 && len(data) <= maxOpenData
}

// decodeBlock decodes a key or an iv.
func decodeBlock(s string) (block []byte, ok bool) {
	block, err := DecodeBase64(s)
	return block, err == nil && len(block) == aes.BlockSize
}

// decrypt returns the plaintext and whether its padding is sound. Where only the padding is unsound it returns the
// whole garbage, so that a caller can do the same work on it as on good data and betray nothing by its speed.
func decrypt(sessionKey, encryptedData, iv string) (plain []byte, sound bool) {
	key, keyOK := decodeBlock(sessionKey)
	vector, ivOK := decodeBlock(iv)
	data, dataOK := decodeEncryptedData(encryptedData)
	if !keyOK || !ivOK || !dataOK {
		return nil, false
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, false
	}
	cipher.NewCBCDecrypter(block, vector).CryptBlocks(data, data)
	return unpad(data)
}

// unpad removes PKCS#7 padding from whole blocks. It looks at all of the last block, whatever is in it, and takes no
// branch on it. Unsound padding removes nothing.
func unpad(plain []byte) (unpadded []byte, sound bool) {
	last := plain[len(plain)-aes.BlockSize:]
	n := int(last[aes.BlockSize-1])
	good := subtle.ConstantTimeLessOrEq(1, n) & subtle.ConstantTimeLessOrEq(n, aes.BlockSize)
	for i, b := range last {
		isPadding := subtle.ConstantTimeLessOrEq(aes.BlockSize-i, n)
		good &= subtle.ConstantTimeSelect(isPadding, subtle.ConstantTimeByteEq(b, byte(n)), 1)
	}
	n = subtle.ConstantTimeSelect(good, n, 0)
	return plain[:len(plain)-n], good == 1
}

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
