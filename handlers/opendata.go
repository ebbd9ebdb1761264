package handlers

import (
	"context"
	"errors"
	"time"

	"wxlogin/internal/fields"
	"wxlogin/session"
	"wxlogin/wechat"
)

// openData is what wx.getUserInfo and wx.getUserProfile give beside the plain userInfo.
type openData struct {
	encryptedData, iv  string
	rawData, signature string // both or neither
}

func openDataOf(f fields.Fields) (openData, error) {
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
		return openData{}, invalidRequest("The fields rawData and signature go together.")
	}
	return d, nil
}

// openWith opens the data under one session_key. Every fault is wechat.ErrOpenData.
func (d openData) openWith(sessionKey string, want wechat.Expect) (wechat.UserInfo, error) {
	info, err := wechat.OpenUserInfo(sessionKey, d.encryptedData, d.iv, want)
	if err != nil {
		return wechat.UserInfo{}, err
	}
	if d.signature != "" && !wechat.VerifySignature(sessionKey, d.rawData, d.signature) {
		return wechat.UserInfo{}, wechat.ErrOpenData
	}
	return info, nil
}

// open opens the data under the session's key or, where wx.login has replaced that key since or before, under one of
// the same user's other sessions' keys.
func (p *public) open(ctx context.Context, sess session.Session, data openData) (wechat.UserInfo, error) {
	want := wechat.Expect{AppID: sess.AppID, OpenID: sess.OpenID}
	if info, err := data.openWith(sess.SessionKey, want); err == nil {
		p.metrics.decryption(openedByOwnKey)
		return info, nil
	}
	info, err := p.openWithOthers(ctx, sess, data, want)
	if errors.Is(err, wechat.ErrOpenData) && sleep(ctx, p.lateLoginWait) {
		// The data may have overtaken the login that its key belongs to. Every fault waits, so that none stands out.
		info, err = p.openWithOthers(ctx, sess, data, want)
	}
	switch {
	case err == nil:
		p.metrics.decryption(openedByOtherKey)
	case errors.Is(err, wechat.ErrOpenData):
		p.metrics.decryption(notOpened)
	}
	return info, err
}

// openWithOthers opens the data under the key of another session of the same user.
func (p *public) openWithOthers(ctx context.Context, sess session.Session, data openData, want wechat.Expect) (wechat.UserInfo, error) {
	others, err := p.otherSessionKeys(ctx, sess)
	if err != nil {
		return wechat.UserInfo{}, err
	}
	for _, key := range others {
		if info, err := data.openWith(key, want); err == nil {
			return info, nil
		}
	}
	return wechat.UserInfo{}, wechat.ErrOpenData
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
