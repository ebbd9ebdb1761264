package demopage

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"
)

// Kinds of exchanges.
const (
	kindWx     = "wx"     // the phone and its WeChat app
	kindHTTP   = "http"   // the phone and wxlogin
	kindWeChat = "wechat" // wxlogin and WeChat
)

// shownRequest and shownResponse list the fields whose values the page shows, by kind of exchange. Any other field is
// secret, so a field that is new, or means something else in another kind of exchange, is hidden until it is listed.
var (
	shownRequest = map[string]map[string]bool{
		kindWx:     set("appid", "kind", fileSize, bodySize),
		kindHTTP:   set("appid", "nickName", "avatarUrl", "everywhere", fileSize, bodySize),
		kindWeChat: set("appid", "grant_type", "force_refresh", bodySize),
	}
	shownResponse = map[string]map[string]bool{
		kindWx: set("errMsg", "avatarUrl", "userInfo.nickName", "userInfo.avatarUrl", "userInfo.gender", "userInfo.country",
			"userInfo.province", "userInfo.city", "userInfo.language", bodySize),
		kindHTTP: set("status", "expiresIn", "isNewUser", "profileComplete", "anonymous", "avatarUrl", "phoneNumber", "countryCode",
			"userInfo.nickName", "userInfo.avatarUrl", "userInfo.gender", "userInfo.country", "userInfo.province",
			"userInfo.city", "userInfo.language",
			"type", "title", "detail", "code", "action", "requestId", "Retry-After", bodySize),
		kindWeChat: set("errcode", "errmsg", "expires_in", "phone_info.countryCode", "phone_info.watermark.timestamp",
			"phone_info.watermark.appid", bodySize),
	}
)

func set(names ...string) map[string]bool {
	s := make(map[string]bool, len(names))
	for _, name := range names {
		s[name] = true
	}
	return s
}

// secretKinds maps field names to kinds of pseudonyms, if they differ.
var secretKinds = map[string]string{
	"js_code": "code", "secret": "AppSecret", "data": "picture",
	"phone_info.phoneNumber": "phone number", "phone_info.purePhoneNumber": "phone number",
}

// redact returns the fields to show. kinds overrides secretKinds.
func (p *pseudonyms) redact(pairs []pair, shown map[string]bool, kinds map[string]string) []field {
	fields := make([]field, 0, len(pairs))
	for _, sent := range pairs {
		if shown[sent.name] || sent.value == "" {
			fields = append(fields, field{Name: strings.ToValidUTF8(sent.name, "?"), Value: strings.ToValidUTF8(sent.value, "?")})
			continue
		}
		kind := sent.name
		if k, ok := secretKinds[kind]; ok {
			kind = k
		}
		if k, ok := kinds[sent.name]; ok {
			kind = k
		}
		fields = append(fields, field{
			Name: sent.name, Secret: p.pseudonym(kind, sent.value), Length: utf8.RuneCountInString(sent.value),
		})
	}
	return fields
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
