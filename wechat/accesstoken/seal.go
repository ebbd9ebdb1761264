package accesstoken

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
)

// newSealer returns AES-256-GCM under a key derived from the AppSecret by HKDF-SHA256 (RFC 5869), salted with the
// appid. Nonces are random and precede the ciphertext. A token is sealed some dozen times a day, far below GCM's limit
// for random nonces.
func newSealer(appID, secret string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(secret), []byte(appID), "wxlogin access_token v1 key", 32)
	if err != nil {
		return nil, fmt.Errorf("accesstoken: deriving the key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("accesstoken: cipher: %w", err)
	}
	sealer, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("accesstoken: cipher: %w", err)
	}
	return sealer, nil
}
