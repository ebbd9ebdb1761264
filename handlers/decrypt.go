package handlers

import (
	"context"
	"errors"
	"time"

	"wxlogin/internal/request"
	"wxlogin/session"
	"wxlogin/wechat"
)

// maxReservationWait is how long a decryption waits for others of the same user, if they have reserved the rest of the
// limit.
const maxReservationWait = 2 * time.Second

// encryptedData is the open data that wx.getUserInfo, wx.getUserProfile and the phone button return.
type encryptedData struct {
	ciphertext, iv     string
	rawData, signature string // both or neither
}

// readEncryptedData reads encrypted data from a request. Base64 or a length that no key could decrypt is an invalid
// request: a new login would not help, no key is tried, and it does not count as a failed decryption. A malformed
// signature is treated as a wrong one.
func readEncryptedData(f request.Fields) (encryptedData, error) {
	ciphertext, err := f.Required("encryptedData")
	if err != nil {
		return encryptedData{}, err
	}
	iv, err := f.Required("iv")
	if err != nil {
		return encryptedData{}, err
	}
	d := encryptedData{ciphertext: ciphertext, iv: iv, rawData: f["rawData"], signature: f["signature"]}
	if (d.rawData == "") != (d.signature == "") {
		missing := "rawData"
		if d.signature == "" {
			missing = "signature"
		}
		return encryptedData{}, invalidField(missing, "rawData and signature must be sent together.")
	}
	if !wechat.ValidEncryptedData(ciphertext) {
		return encryptedData{}, invalidField("encryptedData", "encryptedData must be the base64 of whole 16-byte blocks.")
	}
	if !wechat.ValidIV(iv) {
		return encryptedData{}, invalidField("iv", "iv must be the base64 of 16 bytes.")
	}
	return d, nil
}

// userInfo decrypts a profile. The error is wechat.ErrDecrypt, also if the signature is wrong.
func (d encryptedData) userInfo(sessionKey string, owner wechat.Owner) (wechat.UserInfo, error) {
	info, err := wechat.DecryptUserInfo(sessionKey, d.ciphertext, d.iv, owner)
	if err != nil {
		return wechat.UserInfo{}, err
	}
	if d.signature != "" && !wechat.VerifySignature(sessionKey, d.rawData, d.signature) {
		return wechat.UserInfo{}, wechat.ErrDecrypt
	}
	return info, nil
}

// phoneNumber decrypts a phone number. The error is wechat.ErrDecrypt.
func (d encryptedData) phoneNumber(sessionKey string, owner wechat.Owner) (wechat.PhoneNumber, error) {
	return wechat.DecryptPhoneNumber(sessionKey, d.ciphertext, d.iv, owner)
}

// decryptFunc decrypts data under one session_key. If that fails for whatever reason, the error is wechat.ErrDecrypt.
type decryptFunc[T any] func(sessionKey string, owner wechat.Owner) (T, error)

// decryptRateLimited decrypts data unless the user has reached the limit of failed decryptions. The limit is per user,
// not per session: an attacker can create sessions at will, but WeChat gives out one openid.
//
// Each attempt reserves a place within the limit before any key is tried, and releases it if the data decrypts. So
// concurrent attempts cannot try more keys than sequential ones. Every other outcome counts. That includes a storage
// failure or a disconnect after the session's own key was tried, because the client can see that the profile has not
// changed.
func decryptRateLimited[T any](
	ctx context.Context, p *public, sess session.Session, decryptWith decryptFunc[T],
) (data T, err error) {
	reservation, ok := p.decryptLimiter.ReserveWait(ctx, userKey(sess), maxReservationWait)
	if !ok {
		return data, p.reject(decryptRate)
	}
	defer reservation.Keep()
	if data, err = decrypt(ctx, p, sess, decryptWith); err == nil {
		reservation.Release()
	}
	return data, err
}

// decrypt decrypts data under the session's key. If another wx.login has replaced that key, it tries the keys of the
// user's other sessions.
func decrypt[T any](ctx context.Context, p *public, sess session.Session, decryptWith decryptFunc[T]) (T, error) {
	owner := wechat.Owner{AppID: sess.AppID, OpenID: sess.OpenID}
	if data, err := decryptWith(sess.SessionKey, owner); err == nil {
		p.metrics.decryption(decryptedWithOwnKey)
		return data, nil
	}
	// From here on Redis is read up to twice, with the delay in between.
	ctx, cancel := context.WithTimeout(ctx, p.decryptRetryDelay+2*p.storageTimeout)
	defer cancel()
	data, err := decryptWithOtherKeys(ctx, p, sess, decryptWith, owner)
	if errors.Is(err, wechat.ErrDecrypt) {
		// The data may have overtaken the login that made its key. Every failure waits, so that timing reveals nothing.
		select {
		case <-time.After(p.decryptRetryDelay):
			data, err = decryptWithOtherKeys(ctx, p, sess, decryptWith, owner)
		case <-ctx.Done():
		}
	}
	switch {
	case err == nil:
		p.metrics.decryption(decryptedWithOtherKey)
	case errors.Is(err, wechat.ErrDecrypt):
		p.metrics.decryption(decryptionFailed)
	}
	return data, err
}

// decryptWithOtherKeys decrypts data under the key of another session of the same user.
func decryptWithOtherKeys[T any](
	ctx context.Context, p *public, sess session.Session, decryptWith decryptFunc[T], owner wechat.Owner,
) (zero T, err error) {
	keys, err := p.otherSessionKeys(ctx, sess)
	if err != nil {
		return zero, err
	}
	for _, key := range keys {
		if data, err := decryptWith(key, owner); err == nil {
			return data, nil
		}
	}
	return zero, wechat.ErrDecrypt
}

func (p *public) otherSessionKeys(ctx context.Context, sess session.Session) ([]string, error) {
	ctx, cancel := p.withStorageTimeout(ctx)
	defer cancel()
	return p.sessions.OtherSessionKeys(ctx, sess)
}
