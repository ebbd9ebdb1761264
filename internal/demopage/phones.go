package demopage

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"

	"wxlogin/wechat/wechattest"
)

var phoneID = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

// withPhone finds the phone that a path names.
func (p *Page) withPhone(serve func(*phone, http.ResponseWriter, *http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("id")
		if !phoneID.MatchString(id) {
			http.Error(w, "a phone's id has 1 to 32 of a-z, 0-9 and -", http.StatusNotFound)
			return
		}
		ph := p.Wire.phone(id)
		if ph == nil {
			http.Error(w, "there are too many phones; restart the demo", http.StatusServiceUnavailable)
			return
		}
		serve(ph, w, r)
	}
}

var nickNames = [...]string{"小明 🐼", "阿丽 🌸", "大山 ⛰️", "小雨 ☔", "Lucy 🎈", "老王 🍵"}

// owner is the person whose phone it is, the same in all mini-programs.
func (ph *phone) owner() wechattest.User {
	sum := sha256.Sum256([]byte("person\x00" + ph.id))
	return wechattest.User{
		Name:    ph.id,
		UnionID: "o" + base64.RawURLEncoding.EncodeToString(sum[:])[:27],
		Info: wechattest.Info{
			NickName: nickNames[int(sum[0])%len(nickNames)], Gender: 1 + int(sum[1]%2), Language: "zh_CN",
			City: "Guangzhou", Province: "Guangdong", Country: "China",
			AvatarURL: "https://thirdwx.qlogo.cn/mmopen/vi_32/" + ph.id + "/132",
		},
	}
}

// everywhere is the phone's owner as WeChat knows them in every mini-program.
func (p *Page) devices(ph *phone) []*wechattest.Device {
	people := make([]*wechattest.Device, len(p.AppIDs))
	for i, appID := range p.AppIDs {
		people[i] = p.WeChat.Device(appID, ph.owner())
	}
	return people
}

func (p *Page) openIDs(ph *phone) []string {
	var openIDs []string
	for _, person := range p.devices(ph) {
		openIDs = append(openIDs, person.OpenID())
	}
	return openIDs
}

// indexes are the keys of the indexes of the owner's sessions, whether they are there or not.
func (p *Page) indexKeys(ph *phone) []string {
	var indexes []string
	for i, person := range p.devices(ph) {
		indexes = append(indexes, indexKey(p.AppIDs[i], person.OpenID()))
	}
	return indexes
}

// phoneCalls are the simulator's controls that a phone may use, as the mini-program knows them.
var phoneCalls = map[string]exchange{
	"login":        {kind: kindWx, label: "wx.login()"},
	"userinfo":     {kind: kindWx, label: "wx.getUserInfo()"},
	"chooseavatar": {kind: kindWx, label: `<button open-type="chooseAvatar">`},
	"phonecode":    {kind: kindWx, label: `<button open-type="getPhoneNumber">`, secretKinds: map[string]string{"code": "phone code"}},
	"phonenumber":  {kind: kindWx, label: `<button open-type="getPhoneNumber">`},
}

// callWeChat is a call of the phone to its WeChat app. Whatever user it names, it is the phone's own.
func (p *Page) callWeChat(ph *phone, w http.ResponseWriter, r *http.Request) {
	call, known := phoneCalls[r.PathValue("call")]
	if !known {
		http.NotFound(w, r)
		return
	}
	body, err := readBody(w, r)
	if err != nil {
		http.Error(w, "unreadable body", http.StatusBadRequest)
		return
	}
	p.devices(ph)
	query := r.URL.Query()
	query.Del("user")
	shown := r.Clone(r.Context())
	shown.URL.RawQuery = query.Encode()
	asked := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query.Set("user", ph.id)
		r.URL.Path, r.URL.RawQuery = "/sim/"+r.PathValue("call"), query.Encode()
		p.WeChat.ServeHTTP(&codeReader{ResponseWriter: w, onCode: func(code string) { p.Wire.registerCode(code, ph) }}, r)
	})
	p.Wire.record(call, []*phone{ph}, w, shown, body, asked)
}

// codeReader finds the code in an answer of the simulator, which is whole in one Write.
type codeReader struct {
	http.ResponseWriter
	onCode func(code string)
}

func (c *codeReader) Write(b []byte) (int, error) {
	var answer struct{ Code string }
	if json.NewDecoder(bytes.NewReader(b)).Decode(&answer) == nil && answer.Code != "" {
		c.onCode(answer.Code)
	}
	return c.ResponseWriter.Write(b)
}

// serveAvatar is the picture that the person has at WeChat.
func (p *Page) serveAvatar(ph *phone, w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "image/jpeg")
	w.Write(p.devices(ph)[0].ChooseAvatar().Data)
}

// forward sends a request of the phone on to wxlogin.
func (p *Page) forward(ph *phone, w http.ResponseWriter, r *http.Request) {
	body, err := readBody(w, r)
	if err != nil {
		http.Error(w, "the body is over 5 MiB, or was cut off", http.StatusRequestEntityTooLarge)
		return
	}
	ph.beginRequest()
	defer ph.endRequest()
	path := strings.TrimPrefix(r.URL.Path, "/phones/"+ph.id+"/server")
	send := func(w http.ResponseWriter) {
		out := r.Clone(r.Context())
		out.URL.Path, out.URL.RawPath = path, ""
		p.Wire.record(exchange{kind: kindHTTP, label: r.Method + " " + path}, []*phone{ph}, w, out, body, p.proxy)
	}
	if r.Method == http.MethodPost && path == "/onLogin" && ph.consumeDuplicate() {
		send(&bufferedResponse{header: http.Header{}}) // as by a proxy that repeats what it believes lost
	}
	send(w)
}
