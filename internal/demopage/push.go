package demopage

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"time"

	"wxlogin/wechat/wechattest"
)

// consentWithdrawn is what WeChat pushes if a person withdraws the consent to nickname and avatar (6) and to the phone
// number (8).
var consentWithdrawn = wechattest.Event{Name: "user_authorization_revoke", RevokeInfo: "6,8"}

// PushSettings are what a mini-program's console has for messages that WeChat pushes, and what wxlogin has in WECHAT_PUSH.
type PushSettings struct{ Token, EncodingAESKey string }

// withdrawConsent is what a person does in WeChat's settings of a mini-program: from then on the mini-program may use
// neither nickname and avatar nor the phone number, and WeChat pushes that to wxlogin.
func (p *Page) withdrawConsent(ctx context.Context, ph *phone, appID string) error {
	if !slices.Contains(p.AppIDs, appID) {
		appID = p.AppIDs[0]
	}
	return p.push(ctx, ph, appID, consentWithdrawn)
}

// maxPushes is how often WeChat sends a message that gets no 200.
const maxPushes = 3

// push sends an event about the phone's owner to wxlogin as WeChat does, in safe mode and repeated after an error.
func (p *Page) push(ctx context.Context, ph *phone, appID string, event wechattest.Event) error {
	event.CreatedAt = ph.nextEventTime(time.Now())
	message := p.WeChat.Device(appID, ph.owner()).Message(event)
	var status int
	for range maxPushes {
		var err error
		if status, err = p.pushOnce(ctx, ph, appID, message); err != nil || status == http.StatusOK {
			return err
		}
	}
	return fmt.Errorf("wxlogin responded to a push with %d", status)
}

// nextEventTime returns the time of a new event. WeChat sends whole seconds, so that two equal events of one second would
// be one message that is repeated: the second one gets the next second.
func (ph *phone) nextEventTime(now time.Time) time.Time {
	ph.update(func() {
		ph.lastEvent = max(ph.lastEvent+1, now.Unix())
		now = time.Unix(ph.lastEvent, 0)
	})
	return now
}

// pushOnce sends a message, records it, and returns the status of the response.
func (p *Page) pushOnce(ctx context.Context, ph *phone, appID string, message []byte) (status int, err error) {
	query, body, err := p.Push.seal(appID, message)
	if err != nil {
		return 0, err
	}
	target := "/wechatPush/" + appID
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, target+"?"+query.Encode(), bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	x := exchange{kind: kindPush, label: r.Method + " " + target, base: "http://" + p.Server.Host, opened: message}
	return p.Wire.record(x, []*phone{ph}, httptest.NewRecorder(), r, body, p.proxy), nil
}

// seal encrypts and signs a message, and returns the query and the body of the request.
func (s PushSettings) seal(appID string, message []byte) (url.Values, []byte, error) {
	encrypted := wechattest.SealPush(s.EncodingAESKey, appID, message)
	timestamp, nonce := strconv.FormatInt(time.Now().Unix(), 10), rand.Text()
	query := url.Values{
		"signature": {wechattest.SignPush(s.Token, timestamp, nonce)}, "timestamp": {timestamp}, "nonce": {nonce},
		"encrypt_type": {"aes"}, "msg_signature": {wechattest.SignPush(s.Token, timestamp, nonce, encrypted)},
	}
	body, err := json.Marshal(map[string]string{"Encrypt": encrypted})
	return query, body, err
}
