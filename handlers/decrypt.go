package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"wxlogin/internal/ratelimit"
	"wxlogin/internal/request"
	"wxlogin/session"
	"wxlogin/wechat"
)

// maxReservationWait is how long a decryption waits for others of the same user, if they have reserved the rest of the
// limit.
const maxReservationWait = 2 * time.Second

// encryptedData is the open data that wx.getUserInfo, the phone button and other calls of a mini-program return.
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

// anyData decrypts data of any kind. The error is wechat.ErrDecrypt.
func (d encryptedData) anyData(sessionKey string, owner wechat.Owner) (json.RawMessage, error) {
	return wechat.DecryptData(sessionKey, d.ciphertext, d.iv, owner)
}

// decryptFunc decrypts data under one session_key. If that fails for whatever reason, the error is wechat.ErrDecrypt.
type decryptFunc[T any] func(sessionKey string, owner wechat.Owner) (T, error)

// decryptor decrypts data under the session_keys of its user. The decryptors of both listeners share one limit.
type decryptor struct {
	accounts
	limiter    *ratelimit.Limiter // of failed decryptions, by user
	retryDelay time.Duration
	metrics    *Metrics
}

// newDecryptor returns a decryptor that allows failures failed decryptions per window of counter and user.
func newDecryptor(a accounts, counter *ratelimit.Counter, failures int, retryDelay time.Duration, m *Metrics) *decryptor {
	return &decryptor{a, counter.Limiter("failed updates", failures), retryDelay, m}
}

// decryptRateLimited decrypts data unless the user has reached the limit of failed decryptions. The limit is per user,
// not per session: an attacker can create sessions at will, but WeChat gives out one openid.
//
// Each attempt reserves a place within the limit before any key is tried, and releases it if the data decrypts. So
// concurrent attempts cannot try more keys than sequential ones. Every other outcome counts. That includes a storage
// failure or a disconnect after the session's own key was tried, because the client can see that the profile has not
// changed.
func decryptRateLimited[T any](
	ctx context.Context, d *decryptor, sess session.Session, decryptWith decryptFunc[T],
) (data T, err error) {
	reservation, ok := d.limiter.ReserveWait(ctx, userKey(sess), maxReservationWait)
	if !ok {
		d.metrics.rejected(decryptRate)
		return data, apiError{code: codeRateLimited}
	}
	defer reservation.Keep()
	if data, err = decrypt(ctx, d, sess, decryptWith); err == nil {
		reservation.Release()
	}
	return data, err
}

// decrypt decrypts data under the session's key. If another wx.login has replaced that key, it tries the keys of the
// user's other sessions.
func decrypt[T any](ctx context.Context, d *decryptor, sess session.Session, decryptWith decryptFunc[T]) (T, error) {
	owner := wechat.Owner{AppID: sess.AppID, OpenID: sess.OpenID}
	if data, err := decryptWith(sess.SessionKey, owner); err == nil {
		d.metrics.decryption(decryptedWithOwnKey)
		return data, nil
	}
	// From here on Redis is read up to twice, with the delay in between.
	ctx, cancel := context.WithTimeout(ctx, d.retryDelay+2*d.storageTimeout)
	defer cancel()
	data, err := decryptWithOtherKeys(ctx, d, sess, decryptWith, owner)
	if errors.Is(err, wechat.ErrDecrypt) {
		// The data may have overtaken the login that made its key. Every failure waits, so that timing reveals nothing.
		select {
		case <-time.After(d.retryDelay):
			data, err = decryptWithOtherKeys(ctx, d, sess, decryptWith, owner)
		case <-ctx.Done():
		}
	}
	switch {
	case err == nil:
		d.metrics.decryption(decryptedWithOtherKey)
	case errors.Is(err, wechat.ErrDecrypt):
		d.metrics.decryption(decryptionFailed)
	}
	return data, err
}

// decryptWithOtherKeys decrypts data under the key of another session of the same user.
func decryptWithOtherKeys[T any](
	ctx context.Context, d *decryptor, sess session.Session, decryptWith decryptFunc[T], owner wechat.Owner,
) (zero T, err error) {
	keys, err := d.otherSessionKeys(ctx, sess)
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

func (d *decryptor) otherSessionKeys(ctx context.Context, sess session.Session) ([]string, error) {
	ctx, cancel := d.withStorageTimeout(ctx)
	defer cancel()
	return d.sessions.OtherSessionKeys(ctx, sess)
}
