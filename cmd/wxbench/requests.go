package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"wxlogin/wechat/wechattest"
)

// keyAge keeps WeChat from replacing anybody's session_key meanwhile.
const keyAge = 24 * time.Hour

// make makes the requests of a round for a server, and says where they go.
func (w *world) make(k kind, p *process) (addr string, requests [][]byte) {
	n := k.requests(w.requests)
	requests = make([][]byte, n)
	addr, path := p.public, "/onLogin"
	switch k {
	case changed, unchanged:
		path = "/updateUserInfo"
	case introspect:
		addr, path = p.internal, "/introspect"
	}
	for i := range requests {
		requests[i] = w.post(path, i, w.form(k, p, i))
	}
	return addr, requests
}

// form is the body of the request number i.
func (w *world) form(k kind, p *process, i int) url.Values {
	switch k {
	case returning:
		return url.Values{"code": {w.people[i%len(w.people)].Login()}}
	case capped:
		regulars := w.regulars()
		return url.Values{"code": {regulars[i%len(regulars)].Login()}}
	case newcomer:
		w.asked++
		return url.Values{"code": {w.weChat.sim.Device(appID, wechattest.User{Name: fmt.Sprint("new ", w.asked)}).Login()}}
	}
	tokens := w.tokens[p]
	form := url.Values{"token": {tokens[i%len(tokens)]}}
	if k == introspect {
		return form
	}
	phone := w.people[i%len(tokens)]
	if k == changed {
		w.asked++
		name := fmt.Sprint("user ", i%len(tokens)*(w.users/len(w.people)))
		phone = w.weChat.sim.Device(appID, wechattest.User{Name: name, Info: wechattest.Info{
			NickName: fmt.Sprint("nickname ", w.asked), Gender: 1, Language: "zh_CN", City: "Guangzhou", Province: "Guangdong", Country: "China",
			AvatarURL: "https://thirdwx.qlogo.cn/mmopen/vi_32/DYAIOgq83eoj0hHXhgJNOTSOFsS4uZs8x1ConecaVOB8eIl115xmJZcT4oCicvia7wMEufibKtTLqiaJeanU2Lpg3w/132",
		}})
	}
	data := phone.GetUserInfo()
	form.Set("encryptedData", data.EncryptedData)
	form.Set("iv", data.IV)
	return form
}

// post is a whole request as a mini-program sends it through a proxy, from an address of its own.
func (w *world) post(path string, i int, form url.Values) []byte {
	body := form.Encode()
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: wxlogin\r\nAuthorization: Bearer %s\r\nX-Forwarded-For: 10.%d.%d.%d\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
		path, w.bearer(form), i>>16&255, i>>8&255, i&255, len(body), body)
}

// bearer is the token of a request or, for the internal listener, the key.
func (w *world) bearer(form url.Values) string {
	if form.Has("token") && form.Has("iv") {
		return form.Get("token")
	}
	return w.key
}

// logIn begins the sessions that send updates, on each server: so many that none comes near its limit.
func (w *world) logIn(ctx context.Context) error {
	for _, p := range w.servers() {
		requests := make([][]byte, min(w.requests, len(w.people)))
		for i := range requests {
			requests[i] = w.post("/onLogin", i, w.form(returning, p, i))
		}
		tokens, faults := make([]string, len(requests)), make([]error, len(requests))
		_, err := phones{connections: min(8, w.connections)}.drive(ctx, p.public, requests, func(i int, body []byte) {
			var answer struct {
				Token string `json:"token"`
			}
			faults[i] = json.Unmarshal(body, &answer)
			tokens[i] = answer.Token
		})
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		for _, err := range faults {
			if err != nil {
				return fmt.Errorf("%s: the answer to a login: %w", p.name, err)
			}
		}
		w.tokens[p] = tokens
	}
	return nil
}
