package handlers

import (
	"context"

	"wxlogin/session"
	"wxlogin/wechat"
)

// openData is what wx.getUserInfo and wx.getUserProfile give beside the plain userInfo.
type openData struct {
	encryptedData, iv  string
	rawData, signature string // both or neither
}

func openDataOf(f fields) (openData, error) {
	encryptedData, err := f.required("encryptedData")
	if err != nil {
		return openData{}, err
	}
	iv, err := f.required("iv")
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
	info, err := data.openWith(sess.SessionKey, want)
	if err == nil {
		p.metrics.decryption(openedByOwnKey)
		return info, nil
	}
	others, err := p.otherSessionKeys(ctx, sess)
	if err != nil {
		return wechat.UserInfo{}, err
	}
	for _, key := range others {
		if info, err := data.openWith(key, want); err == nil {
			p.metrics.decryption(openedByOtherKey)
			return info, nil
		}
	}
	p.metrics.decryption(notOpened)
	return wechat.UserInfo{}, wechat.ErrOpenData
}

func (p *public) otherSessionKeys(ctx context.Context, sess session.Session) ([]string, error) {
	ctx, cancel := p.storage(ctx)
	defer cancel()
	return p.sessions.OtherSessionKeys(ctx, sess)
}
