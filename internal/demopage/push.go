package demopage

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A person withdraws the consent to nickname and avatar (6) and to the phone number (8).
const (
	eventRevoked = "user_authorization_revoke"
	revokedInfo  = "6,8"
)

// PushSettings are what a mini-program's console has for messages that WeChat pushes, and what wxlogin has in WECHAT_PUSH.
type PushSettings struct{ Token, EncodingAESKey string }

// withdrawConsent is what a person does in WeChat's settings of a mini-program: from then on the mini-program may use
// neither nickname and avatar nor the phone number, and WeChat pushes that to wxlogin.
func (p *Page) withdrawConsent(ctx context.Context, ph *phone, appID string) error {
	if !slices.Contains(p.AppIDs, appID) {
		appID = p.AppIDs[0]
	}
	return p.push(ctx, ph, appID, eventRevoked, revokedInfo)
}

// push sends an event about the phone's owner to wxlogin as WeChat does, in safe mode, and records it.
func (p *Page) push(ctx context.Context, ph *phone, appID, event, revokeInfo string) error {
	now := time.Now().Unix()
	openID := p.WeChat.Device(appID, ph.owner()).OpenID()
	message, err := json.Marshal(map[string]any{
		"ToUserName": "gh_demo", "FromUserName": openID, "CreateTime": now, "MsgType": "event", "Event": event,
		"OpenID": openID, "AppID": appID, "RevokeInfo": revokeInfo,
	})
	if err != nil {
		return err
	}
	query, body, err := p.Push.seal(appID, message, now)
	if err != nil {
		return err
	}
	target := "/wechatPush/" + appID
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, target+"?"+query.Encode(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	x := exchange{kind: kindPush, label: r.Method + " " + target, base: "http://" + p.Server.Host, opened: message}
	if status := p.Wire.record(x, []*phone{ph}, httptest.NewRecorder(), r, body, p.proxy); status != http.StatusOK {
		return fmt.Errorf("wxlogin responded to a push with %d", status)
	}
	return nil
}

// seal encrypts and signs a message, and returns the query and the body of the request.
func (s PushSettings) seal(appID string, message []byte, now int64) (url.Values, []byte, error) {
	encrypted, err := s.encrypt(appID, message)
	if err != nil {
		return nil, nil, err
	}
	timestamp, nonce := strconv.FormatInt(now, 10), rand.Text()
	query := url.Values{
		"signature": {s.sign(timestamp, nonce)}, "timestamp": {timestamp}, "nonce": {nonce}, "encrypt_type": {"aes"},
		"msg_signature": {s.sign(timestamp, nonce, encrypted)},
	}
	body, err := json.Marshal(map[string]string{"ToUserName": "gh_demo", "Encrypt": encrypted})
	return query, body, err
}

// sign returns the SHA-1 of the token and these parts, sorted and joined.
func (s PushSettings) sign(parts ...string) string {
	parts = append(parts, s.Token)
	slices.Sort(parts)
	sum := sha1.Sum([]byte(strings.Join(parts, "")))
	return hex.EncodeToString(sum[:])
}

// encrypt encrypts 16 random bytes, the length of the message in four bytes, the message and the appid with AES-256-CBC.
// The IV is the beginning of the key. The padding is that of a block of 32 bytes.
func (s PushSettings) encrypt(appID string, message []byte) (string, error) {
	const randomBytes, padded = 16, 32
	key, err := base64.StdEncoding.DecodeString(s.EncodingAESKey + "=")
	if err != nil {
		return "", err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return "", err
	}
	data := make([]byte, randomBytes)
	rand.Read(data) // never fails
	data = binary.BigEndian.AppendUint32(data, uint32(len(message)))
	data = append(append(data, message...), appID...)
	padding := padded - len(data)%padded
	data = append(data, bytes.Repeat([]byte{byte(padding)}, padding)...)
	cipher.NewCBCEncrypter(block, key[:aes.BlockSize]).CryptBlocks(data, data)
	return base64.StdEncoding.EncodeToString(data), nil
}
