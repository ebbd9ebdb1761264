package demopage

import (
	"context"
	"net/http"

	"wxlogin/wechat/wechattest"
)

// busyResponses is how often WeChat says -1 then: as often as the server's client asks for one login.
const busyResponses = 3

// injectFault does to a phone what goes wrong in real life, and notes it.
func (p *Page) injectFault(ph *phone, w http.ResponseWriter, r *http.Request) {
	kind := r.PathValue("kind")
	bring, known := map[string]func(context.Context, *phone) error{
		"newkey":    p.replaceSessionKey,
		"expire":    p.endSessions,
		"codetwice": p.duplicateNextLogin,
		"busy":      p.busyWeChat,
		"secondapp": func(context.Context, *phone) error { return nil }, // the page opens it
	}[kind]
	if !known {
		http.NotFound(w, r)
		return
	}
	if err := bring(r.Context(), ph); err != nil {
		http.Error(w, "the fault could not be brought about", http.StatusInternalServerError)
		return
	}
	ph.add(event{Type: "note", Note: kind})
	w.WriteHeader(http.StatusNoContent)
}

// replaceSessionKey is what a wx.login anywhere else does: data under the new key cannot be opened by sessions of the old one.
func (p *Page) replaceSessionKey(_ context.Context, ph *phone) error {
	for _, person := range p.devices(ph) {
		person.NewSessionKey()
	}
	return nil
}

// endSessions does what time does to sessions.
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

// consumeDuplicate tells whether this login is the one to be sent twice.
func (ph *phone) consumeDuplicate() bool {
	ph.mu.Lock()
	defer ph.mu.Unlock()
	twice := ph.duplicateLogin
	ph.duplicateLogin = false
	return twice
}

func (p *Page) busyWeChat(context.Context, *phone) error {
	for range busyResponses {
		p.WeChat.Fail(wechattest.Busy)
	}
	return nil
}
