package demopage

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"
)

// The kinds of exchanges.
const (
	kindWx     = "wx"     // the phone and its WeChat app
	kindHTTP   = "http"   // the phone and wxlogin
	kindWeChat = "wechat" // wxlogin and WeChat
)

// shownRequest and shownResponse list the fields that everybody may read. Whatever is not listed is told by name only: a
// field that is new, or that means something else in another kind of exchange, is a secret until it is listed.
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

// secretKinds are the names of secrets whose fields are called otherwise.
var secretKinds = map[string]string{
	"js_code": "code", "secret": "AppSecret", "data": "picture",
	"phone_info.phoneNumber": "phone number", "phone_info.purePhoneNumber": "phone number",
}

// redact makes fields of what crossed the wire. kinds overrides the names of secrets, by field.
func (n *pseudonyms) redact(pairs []pair, shown map[string]bool, kinds map[string]string) []field {
	fields := make([]field, 0, len(pairs))
	for _, p := range pairs {
		if shown[p.name] || p.value == "" {
			fields = append(fields, field{Name: strings.ToValidUTF8(p.name, "?"), Value: strings.ToValidUTF8(p.value, "?")})
			continue
		}
		kind := p.name
		if k, ok := secretKinds[kind]; ok {
			kind = k
		}
		if k, ok := kinds[p.name]; ok {
			kind = k
		}
		fields = append(fields, field{
			Name: p.name, Secret: n.pseudonym(kind, p.value), Length: utf8.RuneCountInString(p.value),
		})
	}
	return fields
}

// names gives secrets names that may be shown: "token 1", "token 2", the same one for the same value. It keeps hashes
// only.
type pseudonyms struct {
	mu     sync.Mutex
	byHash map[[sha256.Size]byte]string
	count  map[string]int // by kind
}

func newPseudonyms() *pseudonyms {
	return &pseudonyms{byHash: map[[sha256.Size]byte]string{}, count: map[string]int{}}
}

// name is the name of a value; kind begins it where the value is new.
func (n *pseudonyms) pseudonym(kind, value string) string {
	hash := sha256.Sum256([]byte(value))
	n.mu.Lock()
	defer n.mu.Unlock()
	if known, ok := n.byHash[hash]; ok {
		return known
	}
	n.count[kind]++
	name := fmt.Sprintf("%s %d", kind, n.count[kind])
	n.byHash[hash] = name
	return name
}

// pseudonymOfHash is the name of a value of which only the SHA-256 is known, "" where it has none.
func (n *pseudonyms) pseudonymOfHash(hash []byte) string {
	if len(hash) != sha256.Size {
		return ""
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.byHash[[sha256.Size]byte(hash)]
}
