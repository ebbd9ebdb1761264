package push_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"

	"wxlogin/wechat/push"
	"wxlogin/wechat/wechattest"
)

// FuzzReceiver_Read reads any request, and any plaintext that is encrypted and signed properly. A message that is accepted is
// read again the same when it is sent again.
func FuzzReceiver_Read(f *testing.F) {
	encrypted := wechattest.SealPush(aesKey, appID, []byte(sample))
	f.Add(signed(at, "").Encode(), []byte(sample), []byte{})
	f.Add(signed(at, encrypted).Encode(), envelope(encrypted), []byte(strings.Repeat("r", 16)+"\x00\x00\x00\x02{}"+appID+strings.Repeat("\x08", 8)))
	f.Add("signature=&timestamp=x&nonce", []byte("<xml><Encrypt>AAAA</Encrypt></xml>"), []byte(strings.Repeat("\x20", 32)))
	plain, safe := newReceiver(f, "", at), newReceiver(f, aesKey, at)
	check := func(t *testing.T, err error) {
		if err != nil && !errors.Is(err, push.ErrForbidden) && !errors.Is(err, push.ErrMalformed) {
			t.Errorf("got %v", err)
		}
	}
	f.Fuzz(func(t *testing.T, rawQuery string, body, data []byte) {
		query, _ := url.ParseQuery(rawQuery)
		_, err := plain.Read(query, body)
		check(t, err)
		_, err = safe.Read(query, body)
		check(t, err)
		_, err = safe.Echo(query)
		check(t, err)

		encrypted := encrypt(t, data[:len(data)/16*16])
		message, err := safe.Read(signed(at, encrypted), envelope(encrypted))
		check(t, err)
		if err != nil {
			return
		}
		encrypted = wechattest.SealPush(aesKey, appID, message)
		if again, err := safe.Read(signed(at, encrypted), envelope(encrypted)); err != nil || string(again) != string(message) {
			t.Errorf("%q is read again as %q, %v", message, again, err)
		}
	})
}

// FuzzParseEvent parses any message. An event that was parsed is parsed again the same after it is written as JSON.
func FuzzParseEvent(f *testing.F) {
	phone := wechattest.New(wechattest.Options{Apps: map[string]string{appID: "s"}}).Device(appID, wechattest.User{Name: "alice"})
	for _, xml := range []bool{false, true} {
		f.Add(phone.Message(wechattest.Event{Name: push.AuthorizationRevoked, RevokeInfo: "6, 8,,20", XML: xml}))
	}
	f.Add([]byte(sample))
	f.Add([]byte(`{" Event ":" a","RevokeInfo":["6",[8]],"x":{"y":1}}`))
	f.Add([]byte("<xml>\n<RevokeInfo>[6\n8]</RevokeInfo><a/><a>b<c/></a></xml>"))
	f.Fuzz(func(t *testing.T, message []byte) {
		e, err := push.ParseEvent(message)
		if err != nil {
			if err != push.ErrMalformed {
				t.Errorf("got %v", err)
			}
			return
		}
		text := map[string]any{"MsgType": "event", "Event": e.Event, "OpenID": e.OpenID, "AppID": e.AppID, "RevokeInfo": e.Revoked}
		if !e.CreatedAt.IsZero() {
			text["CreateTime"] = e.CreatedAt.Unix()
		}
		written, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		again, err := push.ParseEvent(written)
		if err != nil || again.Event != e.Event || again.OpenID != e.OpenID || again.AppID != e.AppID ||
			!again.CreatedAt.Equal(e.CreatedAt) || !slices.Equal(again.Revoked, e.Revoked) {
			t.Errorf("%+v is read again as %+v, %v", e, again, err)
		}
	})
}
