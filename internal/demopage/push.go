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

// push sends an event about the phone's owner to wxlogin as WeChat does, in safe mode, and records it.
func (p *Page) push(ctx context.Context, ph *phone, appID string, event wechattest.Event) error {
	message := p.WeChat.Device(appID, ph.owner()).Message(event)
	query, body, err := p.Push.seal(appID, message)
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
