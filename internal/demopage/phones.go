package demopage

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"

	"wxlogin/wechat/wechattest"
)

// phone is one person's phone and its recorded traffic.
type phone struct {
	*eventLog
	*pseudonyms
	id string

	mu              sync.Mutex
	pendingRequests int    // in flight to wxlogin
	duplicateLogin  bool   // send the next login twice
	busyResponses   int    // how many calls for this phone WeChat responds -1 to
	lastEvent       int64  // Unix time of the last event that was pushed
	networks        int    // how many networks the phone has been in, each with an address of its own
	endOutage       func() // restores a storage; called after a 503
}

var phoneID = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

// withPhone calls serve with the phone of the path.
func (p *Page) withPhone(serve func(*phone, http.ResponseWriter, *http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("id")
		if !phoneID.MatchString(id) {
			http.Error(w, "phone id must be 1 to 32 of a-z, 0-9 and -", http.StatusNotFound)
			return
		}
		ph := p.Wire.phone(id)
		if ph == nil {
			http.Error(w, "too many phones; restart the demo", http.StatusServiceUnavailable)
			return
		}
		serve(ph, w, r)
	}
}

// update changes the phone's state under its lock.
func (ph *phone) update(change func()) {
	ph.mu.Lock()
	defer ph.mu.Unlock()
	change()
}

func (ph *phone) hasRequests() (pending bool) {
	ph.update(func() { pending = ph.pendingRequests > 0 })
	return pending
}

// address returns the phone's address in the network that it is in, which the limit of logins counts by.
func (ph *phone) address() (ip string) {
	ph.update(func() {
		sum := sha256.Sum256(fmt.Append(nil, ph.id, ph.networks))
		ip = fmt.Sprintf("10.%d.%d.%d", sum[0], sum[1], sum[2])
	})
	return ip
}

var nickNames = [...]string{"小明 🐼", "阿丽 🌸", "大山 ⛰️", "小雨 ☔", "Lucy 🎈", "老王 🍵"}

// owner returns the person who owns the phone. Their unionid and profile are the same in all mini-programs.
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

// devices returns the owner's simulated device in each mini-program.
func (p *Page) devices(ph *phone) []*wechattest.Device {
	var devices []*wechattest.Device
	for _, appID := range p.AppIDs {
		devices = append(devices, p.WeChat.Device(appID, ph.owner()))
	}
	return devices
}

func (p *Page) openIDs(ph *phone) (openIDs []string) {
	for _, device := range p.devices(ph) {
		openIDs = append(openIDs, device.OpenID())
	}
	return openIDs
}

// phoneCalls are the simulator's endpoints that a phone may call, labelled as in a mini-program.
var phoneCalls = map[string]exchange{
	"login":        {kind: kindWx, label: "wx.login()"},
	"userinfo":     {kind: kindWx, label: "wx.getUserInfo()"},
	"chooseavatar": {kind: kindWx, label: `<button open-type="chooseAvatar">`},
	"phonecode":    {kind: kindWx, label: `<button open-type="getPhoneNumber">`, secretKinds: map[string]string{"code": "phone code"}},
	"phonenumber":  {kind: kindWx, label: `<button open-type="getPhoneNumber">`},
}

// callWeChat is a call of the phone to its WeChat app. It acts for the phone's owner, even if the query names another
// user.
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
	p.devices(ph) // the simulator knows the owner from then on
	query := r.URL.Query()
	query.Del("user")
	shown := r.Clone(r.Context())
	shown.URL.RawQuery = query.Encode()
	call.base = "http://" + r.Host
	call.codesFrom = origin{phone: ph, call: call.base + shown.URL.RequestURI()}
	simulator := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query.Set("user", ph.id)
		r.URL.Path, r.URL.RawQuery = "/sim/"+r.PathValue("call"), query.Encode()
		p.WeChat.ServeHTTP(w, r)
	})
	p.Wire.record(call, []*phone{ph}, w, shown, body, simulator)
}

// serveAvatar serves the owner's WeChat avatar.
func (p *Page) serveAvatar(ph *phone, w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "image/jpeg")
	w.Write(p.devices(ph)[0].ChooseAvatar().Data)
}

// forward sends a request of the phone to wxlogin.
func (p *Page) forward(ph *phone, w http.ResponseWriter, r *http.Request) {
	body, err := readBody(w, r)
	if err != nil {
		http.Error(w, "the body is larger than 5 MiB, or was cut off", http.StatusRequestEntityTooLarge)
		return
	}
	ph.update(func() { ph.pendingRequests++ })
	defer ph.update(func() { ph.pendingRequests-- })
	root := "/phones/" + ph.id + "/server"
	path := strings.TrimPrefix(r.URL.Path, root)
	send := func(w http.ResponseWriter, lost bool) int {
		out := r.Clone(r.Context())
		out.URL.Path, out.URL.RawPath = path, ""
		out.Header.Set(forwardedFor, ph.address())
		x := exchange{kind: kindHTTP, label: r.Method + " " + path, base: "http://" + r.Host + root, lost: lost}
		return p.Wire.record(x, []*phone{ph}, w, out, body, p.proxy)
	}
	if r.Method == http.MethodPost && path == "/onLogin" && ph.takeDuplicate() {
		send(httptest.NewRecorder(), true) // discard the response: a proxy that retries does the same
	}
	if send(w, false) == http.StatusServiceUnavailable {
		ph.update(func() { ph.endOutage() })
	}
}
