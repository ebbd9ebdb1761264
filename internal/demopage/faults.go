package demopage

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

const (
	busyResponses = 3               // one for each attempt that wxlogin's client makes for one login
	maxOutage     = 2 * time.Second // an outage ends earlier, with the first 503
	maxFlood      = 20000           // logins, by then the limit must be reached
)

// faults are the failures of real life that the page's buttons cause for a phone, and what ends them. appID is that of the
// mini-program that is seen.
func (p *Page) faults(appID string) map[string]func(context.Context, *phone) error {
	update := func(change func(*phone)) func(context.Context, *phone) error {
		return func(_ context.Context, ph *phone) error {
			ph.update(func() { change(ph) })
			return nil
		}
	}
	return map[string]func(context.Context, *phone) error{
		"newkey":     p.replaceSessionKey,
		"expire":     p.endSessions,
		"codetwice":  update(func(ph *phone) { ph.duplicateLogin = true }),
		"busy":       update(func(ph *phone) { ph.busyResponses = busyResponses }),
		"awayredis":  update(func(ph *phone) { ph.breakStorage(p.CutRedis) }),
		"awaymysql":  update(func(ph *phone) { ph.breakStorage(p.CutMySQL) }),
		"limit":      p.useUpLimit,
		"newnetwork": update(func(ph *phone) { ph.networks++ }),
		"block":      func(ctx context.Context, ph *phone) error { return p.Storage.setStatus(ctx, 2, p.openIDs(ph)) },
		"unblock":    func(ctx context.Context, ph *phone) error { return p.Storage.setStatus(ctx, 1, p.openIDs(ph)) },
		"withdraw":   func(ctx context.Context, ph *phone) error { return p.withdrawConsent(ctx, ph, appID) },
		// What follows is done by the phone alone, and only noted.
		"refuse":    update(func(*phone) {}),
		"secondapp": update(func(*phone) {}),
	}
}

// injectFault logs a fault and causes it for a phone.
func (p *Page) injectFault(ph *phone, w http.ResponseWriter, r *http.Request) {
	kind := r.PathValue("kind")
	inject, known := p.faults(r.URL.Query().Get("appid"))[kind]
	if !known {
		http.NotFound(w, r)
		return
	}
	ph.add(event{Type: "note", Note: kind})
	if err := inject(r.Context(), ph); err != nil {
		http.Error(w, "cannot inject the fault", http.StatusInternalServerError)
		return
	}
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
	_, sessions, err := p.sessionKeys(ctx, ph)
	if err != nil || len(sessions) == 0 {
		return err
	}
	return p.Redis.Del(ctx, sessions...).Err()
}

// takeDuplicate reports whether this login is to be sent twice, and resets the flag.
func (ph *phone) takeDuplicate() (duplicate bool) {
	ph.update(func() { duplicate, ph.duplicateLogin = ph.duplicateLogin, false })
	return duplicate
}

// takeBusy reports whether WeChat is busy for this call, and counts it.
func (ph *phone) takeBusy() (busy bool) {
	ph.update(func() {
		if busy = ph.busyResponses > 0; busy {
			ph.busyResponses--
		}
	})
	return busy
}

// sendBusy is WeChat's response when it is busy.
func sendBusy(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	fmt.Fprintf(w, `{"errcode":-1,"errmsg":"system error, rid: %08x-0d1af18b-5b069232"}`, time.Now().Unix())
}

// useUpLimit sends logins from the phone's address until the server responds 429. The phone goes to a network of its own
// for that, so that no other phone is limited.
func (p *Page) useUpLimit(ctx context.Context, ph *phone) error {
	ph.update(func() { ph.networks++ })
	address := ph.address()
	for range maxFlood {
		if p.sendLogin(ctx, address) == http.StatusTooManyRequests {
			return nil
		}
	}
	return fmt.Errorf("%d logins are within the limit", maxFlood)
}

// sendLogin sends a login with an invalid code to the server, and returns the status of the response.
func (p *Page) sendLogin(ctx context.Context, address string) int {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "/onLogin", strings.NewReader("code=invalid"))
	if err != nil {
		return 0
	}
	r.Header.Set("Content-Type", formType)
	r.Header.Set(forwardedFor, address)
	response := httptest.NewRecorder()
	p.proxy.ServeHTTP(response, r)
	return response.Code
}

// breakStorage makes a database unreachable for wxlogin until the phone has got a 503, or for maxOutage. ph.mu is held.
func (ph *phone) breakStorage(cut func() (restore func())) {
	ph.endOutage = sync.OnceFunc(cut())
	time.AfterFunc(maxOutage, ph.endOutage)
}
