package push_test

import (
	"fmt"
	"net/url"
	"time"

	"wxlogin/wechat/push"
	"wxlogin/wechat/wechattest"
)

func Example() {
	const appID, token, key = "wx000000000000demo", "a-token", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
	receiver, err := push.New(push.Options{
		AppID: appID, Token: token, EncodingAESKey: key,
		Now: func() time.Time { return time.Unix(1714112445, 0) }, // without it, the real time
	})
	if err != nil {
		panic(err)
	}

	// What WeChat sends: the body and the query of a POST request.
	encrypted := wechattest.SealPush(key, appID, []byte(`{"CreateTime":1714112440,"MsgType":"event","Event":"user_authorization_revoke",`+
		`"OpenID":"oGZUI0egBJY1zhBYw2KhdUfwVJJE","AppID":"wx000000000000demo","RevokeInfo":"8"}`))
	body := []byte(`{"ToUserName":"gh_0123456789ab","Encrypt":"` + encrypted + `"}`)
	query := url.Values{
		"timestamp": {"1714112445"}, "nonce": {"415670741"}, "encrypt_type": {"aes"},
		"msg_signature": {wechattest.SignPush(token, "1714112445", "415670741", encrypted)},
	}

	message, err := receiver.Read(query, body)
	if err != nil {
		panic(err) // push.ErrForbidden: respond with 403; push.ErrMalformed: with 400
	}
	event, err := push.ParseEvent(message)
	fmt.Println(event.Event, event.OpenID, event.Revoked, err)

	query.Set("nonce", "415670742")
	_, err = receiver.Read(query, body)
	fmt.Println(err)
	// Output:
	// user_authorization_revoke oGZUI0egBJY1zhBYw2KhdUfwVJJE [8] <nil>
	// push: not from WeChat, or not for this mini-program
}
