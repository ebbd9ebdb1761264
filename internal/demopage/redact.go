package demopage

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
)

// Kinds of exchanges.
const (
	kindWx     = "wx"     // the phone and its WeChat app
	kindHTTP   = "http"   // the phone and wxlogin
	kindWeChat = "wechat" // wxlogin and WeChat
	kindPush   = "push"   // WeChat and wxlogin
)

// shownRequest and shownResponse list the fields whose values the page shows, by kind of exchange. Any other field is
// secret, so a field that is new, or means something else in another kind of exchange, is hidden until it is listed.
var (
	shownRequest = map[string]map[string]bool{
		kindWx:     set("appid kind (body)"),
		kindHTTP:   set("appid nickName avatarUrl everywhere confirm (body)"),
		kindWeChat: set("appid grant_type force_refresh (body)"),
		kindPush: set("timestamp nonce encrypt_type ToUserName (body) (decrypted).ToUserName (decrypted).CreateTime " +
			"(decrypted).MsgType (decrypted).Event (decrypted).AppID (decrypted).RevokeInfo"),
	}
	shownResponse = map[string]map[string]bool{
		kindWx: set("errMsg avatarUrl (body)", userInfo),
		kindHTTP: set("status expiresIn isNewUser profileComplete anonymous avatarUrl phoneNumber countryCode type title detail code "+
			"action requestId Retry-After (body)", userInfo),
		kindWeChat: set("errcode errmsg expires_in phone_info.countryCode phone_info.watermark.timestamp " +
			"phone_info.watermark.appid (body)"),
		kindPush: set("status title detail code action requestId type (body)"),
	}
)

const userInfo = "userInfo.nickName userInfo.avatarUrl userInfo.gender userInfo.country userInfo.province userInfo.city " +
	"userInfo.language"

func set(names ...string) map[string]bool {
	s := map[string]bool{}
	for name := range strings.FieldsSeq(strings.Join(names, " ")) {
		s[name] = true
	}
	return s
}

// secretKinds maps field names to kinds of pseudonyms, if they differ.
var secretKinds = map[string]string{
	"Authorization": "token", "js_code": "code", "secret": "AppSecret", "data": "picture",
	"(decrypted).OpenID": "openid", "(decrypted).FromUserName": "openid",
	"phone_info.phoneNumber": "phone number", "phone_info.purePhoneNumber": "phone number",
}

// replacer returns the replacer of every value that is not shown. kinds overrides secretKinds.
func (p *pseudonyms) replacer(shown map[string]bool, kinds map[string]string) replacer {
	return func(path, value string) (string, bool) {
		if shown[path] || value == "" {
			return "", false
		}
		kind := cmp.Or(kinds[path], secretKinds[path], path)
		scheme, token, found := strings.Cut(value, " ")
		if path == "Authorization" && found {
			return scheme + " <" + p.pseudonym(kind, token) + ">", true
		}
		return "<" + p.pseudonym(kind, value) + ">", true
	}
}

// pseudonyms replaces secrets by names that may be shown: "token 1", "token 2". The same value always has the same
// name. It stores only hashes of the secrets.
type pseudonyms struct {
	mu     sync.Mutex
	byHash map[[sha256.Size]byte]string
	count  map[string]int // by kind
}

func newPseudonyms() *pseudonyms {
	return &pseudonyms{byHash: map[[sha256.Size]byte]string{}, count: map[string]int{}}
}

// pseudonym returns the name of a value. A new value gets the next name of its kind.
func (p *pseudonyms) pseudonym(kind, value string) string {
	hash := sha256.Sum256([]byte(value))
	p.mu.Lock()
	defer p.mu.Unlock()
	if known, ok := p.byHash[hash]; ok {
		return known
	}
	p.count[kind]++
	name := fmt.Sprintf("%s %d", kind, p.count[kind])
	p.byHash[hash] = name
	return name
}

// pseudonymOfHash returns the name of the value with this SHA-256, or "".
func (p *pseudonyms) pseudonymOfHash(hash []byte) string {
	if len(hash) != sha256.Size {
		return ""
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.byHash[[sha256.Size]byte(hash)]
}
