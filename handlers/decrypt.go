package handlers

import (
	"context"
	"errors"
	"time"

	"wxlogin/internal/request"
	"wxlogin/session"
	"wxlogin/wechat"
)

// openData is what wx.getUserInfo and wx.getUserProfile give beside the plain userInfo.
type openData struct {
	encryptedData, iv  string
	rawData, signature string // both or neither
}

// openDataOf reads open data. What no key can open, because of its base64 or length, is refused at once: a login does not help,
// no key is tried, and it counts as no guess. A signature of any form is one that does not fit.
func openDataOf(f request.Fields) (openData, error) {
	encryptedData, err := f.Required("encryptedData")
	if err != nil {
		return openData{}, err
	}
	iv, err := f.Required("iv")
	if err != nil {
		return openData{}, err
	}
	d := openData{encryptedData: encryptedData, iv: iv, rawData: f["rawData"], signature: f["signature"]}
	if (d.rawData == "") != (d.signature == "") {
		missing := "rawData"
		if d.signature == "" {
			missing = "signature"
		}
		return openData{}, invalidField(missing, "The fields rawData and signature go together.")
	}
	if !wechat.ValidEncryptedData(encryptedData) {
		return openData{}, invalidField("encryptedData", "The field encryptedData is not the base64 of whole blocks of 16 bytes.")
	}
	if !wechat.ValidIV(iv) {
		return openData{}, invalidField("iv", "The field iv is not the base64 of 16 bytes.")
	}
	return d, nil
}

// openWith opens the data under one session_key. Every fault is wechat.ErrDecrypt.
func (d openData) openWith(sessionKey string, want wechat.Owner) (wechat.UserInfo, error) {
	info, err := wechat.DecryptUserInfo(sessionKey, d.encryptedData, d.iv, want)
	if err != nil {
		return wechat.UserInfo{}, err
	}
	if d.signature != "" && !wechat.VerifySignature(sessionKey, d.rawData, d.signature) {
		return wechat.UserInfo{}, wechat.ErrDecrypt
	}
	return info, nil
}

// attemptWait is how long an attempt waits for others of its user to succeed, if only they reach the limit of failures.
const attemptWait = 2 * time.Second

// opener opens data of one kind under one session_key. Every fault is wechat.ErrDecrypt.
type opener[T any] func(sessionKey string, want wechat.Owner) (T, error)

// openWithinLimit opens the data of a user who has not sent too much that cannot be opened. Failures are counted for the
// user, not for the session: an attacker begins sessions at will, but WeChat gives him one openid.
//
// Each attempt takes a place within the limit before it tries a key, and gives it back if the data opens; so attempts at the
// same time try no more keys than those in turn. All else counts, even if storage failed or the client went after the
// session's own key was tried: the client can see that the profile has not changed.
func openWithinLimit[T any](
	ctx context.Context, p *public, sess session.Session, openWith opener[T],
) (info T, err error) {
	attempt, ok := p.failedUpdates.ReserveWait(ctx, userKey(sess), attemptWait)
	if !ok {
		return info, p.refused(failedUpdateRate)
	}
	defer attempt.Keep()
	if info, err = open(ctx, p, sess, openWith); err == nil {
		attempt.Release()
	}
	return info, err
}

// open opens data under the session's key or, where wx.login has replaced that key since or before, under one of the same
// user's other sessions' keys.
func open[T any](ctx context.Context, p *public, sess session.Session, openWith opener[T]) (T, error) {
	want := wechat.Owner{AppID: sess.AppID, OpenID: sess.OpenID}
	if info, err := openWith(sess.SessionKey, want); err == nil {
		p.metrics.decryption(openedByOwnKey)
		return info, nil
	}
	// Redis is asked twice from here on, and in between a login under way is waited for.
	ctx, cancel := context.WithTimeout(ctx, p.lateLoginWait+2*p.storageTimeout)
	defer cancel()
	info, err := openWithOthers(ctx, p, sess, openWith, want)
	if errors.Is(err, wechat.ErrDecrypt) && sleep(ctx, p.lateLoginWait) {
		// The data may have overtaken the login that its key belongs to. Every fault waits, so that none stands out.
		info, err = openWithOthers(ctx, p, sess, openWith, want)
	}
	switch {
	case err == nil:
		p.metrics.decryption(openedByOtherKey)
	case errors.Is(err, wechat.ErrDecrypt):
		p.metrics.decryption(notOpened)
	}
	return info, err
}

// openWithOthers opens data under the key of another session of the same user.
func openWithOthers[T any](
	ctx context.Context, p *public, sess session.Session, openWith opener[T], want wechat.Owner,
) (nothing T, err error) {
	others, err := p.otherSessionKeys(ctx, sess)
	if err != nil {
		return nothing, err
	}
	for _, key := range others {
		if info, err := openWith(key, want); err == nil {
			return info, nil
		}
	}
	return nothing, wechat.ErrDecrypt
}

// sleep waits for d and reports true; or false, where ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (p *public) otherSessionKeys(ctx context.Context, sess session.Session) ([]string, error) {
	ctx, cancel := p.storage(ctx)
	defer cancel()
	return p.sessions.OtherSessionKeys(ctx, sess)
}
