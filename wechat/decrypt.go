package wechat

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strings"
)

// maxEncryptedData bounds encryptedData, in bytes after decoding. Real ones have some hundred.
const maxEncryptedData = 64 << 10

// ErrDecrypt is the only error of decryption: for invalid base64, lengths, padding and JSON, another app's watermark
// and another user's openId. It is never wrapped and does not say which. The data has no MAC: a caller that can
// distinguish a padding error from others can decrypt and forge data without the key.
var ErrDecrypt = errors.New("wechat: open data cannot be decrypted")

// Decrypt decrypts WeChat's encryptedData: AES-128-CBC with PKCS#7 padding. The arguments are base64, repaired as by
// DecodeBase64; key and iv have 16 bytes, the data at most 64 KiB.
//
// It does not authenticate the data: check the watermark, as DecryptUserInfo does. The padding is checked in constant
// time, so that the time taken reveals nothing about the plaintext. The error is ErrDecrypt.
func Decrypt(sessionKey, encryptedData, iv string) ([]byte, error) {
	plain, ok := decrypt(sessionKey, encryptedData, iv)
	if !ok {
		return nil, ErrDecrypt
	}
	return plain, nil
}

// ValidEncryptedData reports whether s has the form of encryptedData: base64, repaired as by DecodeBase64, of whole
// blocks of 16 bytes, at least one and at most 64 KiB. The form does not depend on the key, so a server may report it
// to a client.
func ValidEncryptedData(s string) bool {
	_, ok := decodeEncryptedData(s)
	return ok
}

// ValidIV reports whether s has the form of an iv: base64, repaired as by DecodeBase64, of 16 bytes.
func ValidIV(s string) bool {
	_, ok := decodeBlock(s)
	return ok
}

func decodeEncryptedData(s string) (data []byte, ok bool) {
	if len(s) > 2*maxEncryptedData {
		return nil, false
	}
	data, err := DecodeBase64(s)
	return data, err == nil && len(data) != 0 && len(data)%aes.BlockSize == 0 && len(data) <= maxEncryptedData
}

// decodeBlock decodes a key or an iv.
func decodeBlock(s string) (block []byte, ok bool) {
	block, err := DecodeBase64(s)
	return block, err == nil && len(block) == aes.BlockSize
}

// decrypt returns the plaintext. ok reports whether its padding is valid. If only the padding is invalid, it also
// returns the garbage, so that a caller can do the same work on it as on valid data and reveal nothing by its speed.
func decrypt(sessionKey, encryptedData, iv string) (plain []byte, ok bool) {
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

// unpad removes PKCS#7 padding from whole blocks. It reads all of the last block and takes no branch that depends on it.
// Invalid padding is not removed.
func unpad(plain []byte) (unpadded []byte, ok bool) {
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

var errInvalidBase64 = errors.New("wechat: not base64")

// base64Repair undoes form decoding ("+" became a space), the URL-safe alphabet and line breaks.
var base64Repair = strings.NewReplacer(" ", "+", "-", "+", "_", "/", "\r", "", "\n", "", "\t", "")

// DecodeBase64 decodes base64 that was damaged on its way: with spaces instead of '+', in the URL-safe alphabet, without
// padding, or with stray CR, LF and tabs. Otherwise it is strict: any other character, a wrong length, wrong padding and
// non-zero trailing bits are errors. The error is always the same and contains nothing of s.
//
// All damaged forms of a value decode to the same bytes, so the repair cannot turn a value into another valid one.
func DecodeBase64(s string) ([]byte, error) {
	s = base64Repair.Replace(s)
	digits := strings.TrimRight(s, "=")
	if padding := len(s) - len(digits); padding != 0 && (padding > 2 || len(s)%4 != 0) {
		return nil, errInvalidBase64
	}
	raw, err := base64.RawStdEncoding.Strict().DecodeString(digits)
	if err != nil {
		return nil, errInvalidBase64
	}
	return raw, nil
}
