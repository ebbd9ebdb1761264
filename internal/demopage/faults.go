package demopage

import (
	"context"
	"net/http"

	"wxlogin/wechat/wechattest"
)

// busyResponses is the number of -1 (busy) responses: one for each attempt that wxlogin's client makes for one login.
const busyResponses = 3

// injectFault causes one of the failures of real life for a phone, and logs it.
func (p *Page) injectFault(ph *phone, w http.ResponseWriter, r *http.Request) {
	kind := r.PathValue("kind")
	inject, known := map[string]func(context.Context, *phone) error{
		"newkey":    p.replaceSessionKey,
		"expire":    p.endSessions,
		"codetwice": p.duplicateNextLogin,
		"busy":      p.busyWeChat,
		"secondapp": func(context.Context, *phone) error { return nil }, // the page itself opens the second mini-program
	}[kind]
	if !known {
		http.NotFound(w, r)
		return
	}
	if err := inject(r.Context(), ph); err != nil {
		http.Error(w, "cannot inject the fault", http.StatusInternalServerError)
		return
	}
	ph.add(event{Type: "note", Note: kind})
	w.WriteHeader(http.StatusNoContent)
}

// replaceSessionKey does what a wx.login on another device does: data that is encrypted with the new key cannot be
// decrypted by sessions that hold the old one.
func (p *Page) replaceSessionKey(_ context.Context, ph *phone) error {
	for _, device := range p.devices(ph) {
		device.NewSessionKey()
	}
	return nil
}

// endSessions deletes the owner's sessions, as if they had expired.
func (p *Page) endSessions(ctx context.Context, ph *phone) error {
	sessions, err := p.storage.sessionKeys(ctx, p.indexKeys(ph))
	if err != nil || len(sessions) == 0 {
		return err
	}
	return p.Redis.Del(ctx, sessions...).Err()
}

func (p *Page) duplicateNextLogin(_ context.Context, ph *phone) error {
	ph.mu.Lock()
	defer ph.mu.Unlock()
	ph.duplicateLogin = true
	return nil
}

// consumeDuplicate reports whether this login is to be sent twice, and resets the flag.
func (ph *phone) consumeDuplicate() bool {
	ph.mu.Lock()
	defer ph.mu.Unlock()
	duplicate := ph.duplicateLogin
	ph.duplicateLogin = false
	return duplicate
}

func (p *Page) busyWeChat(context.Context, *phone) error {
	for range busyResponses {
		p.WeChat.Fail(wechattest.Busy)
	}
	return nil
}
