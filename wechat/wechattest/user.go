package wechattest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"
)

// User is a person with WeChat. Only Name is required.
type User struct {
	Name    string // identifies the person over all mini-programs; never leaves the simulator but in a made-up Info
	OpenID  string // the openid in the mini-program of the Phone. Default: made from appid and name
	UnionID string // "" where the mini-program is not bound to an Open Platform account
	Info    Info   // what the user's profile holds. Default: made from the name

	CountryCode string // of the phone number. Default: 86
	PhoneNumber string // the national number, digits. Default: made from the name, 11 digits
}

// Info is a user's profile, in the order and with the names of wx.getUserInfo's userInfo.
type Info struct {
	NickName  string `json:"nickName"`
	Gender    int    `json:"gender"` // 0 unknown, 1 male, 2 female
	Language  string `json:"language"`
	City      string `json:"city"`
	Province  string `json:"province"`
	Country   string `json:"country"`
	AvatarURL string `json:"avatarUrl"`
}

// accountID is a person in one mini-program.
type accountID struct{ appID, name string }

// account is what WeChat keeps for a person in one mini-program: there is one valid session_key at a time, whatever
// the number of phones.
type account struct {
	openID     string
	sessionKey string
	keyMade    time.Time
}

// register makes u known, or changes what is known of that person where u says something new.
func (s *Simulator) register(appID string, u User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	person, known := s.people[u.Name]
	if !known {
		person = User{Name: u.Name, Info: madeUpInfo(u.Name), CountryCode: "86", PhoneNumber: madeUpPhoneNumber(u.Name)}
	}
	if u.UnionID != "" {
		person.UnionID = u.UnionID
	}
	if u.Info != (Info{}) {
		person.Info = u.Info
	}
	if u.CountryCode != "" {
		person.CountryCode = u.CountryCode
	}
	if u.PhoneNumber != "" {
		person.PhoneNumber = u.PhoneNumber
	}
	s.people[u.Name] = person

	id := accountID{appID, u.Name}
	a, known := s.accounts[id]
	if !known {
		a = &account{openID: madeUpOpenID(id), sessionKey: newSessionKey(), keyMade: s.now()}
		s.accounts[id] = a
	}
	if u.OpenID != "" {
		a.openID = u.OpenID
	}
}

// madeUpOpenID is 28 characters that begin with "o", with "-" and "_" among the possible others, as WeChat's are.
func madeUpOpenID(id accountID) string {
	sum := sha256.Sum256([]byte("openid\x00" + id.appID + "\x00" + id.name))
	return "o" + base64.RawURLEncoding.EncodeToString(sum[:])[:27]
}

func madeUpInfo(name string) Info {
	sum := sha256.Sum256([]byte("profile\x00" + name))
	return Info{
		NickName:  name,
		Gender:    1 + int(sum[0]%2),
		Language:  "zh_CN",
		City:      "Guangzhou",
		Province:  "Guangdong",
		Country:   "China",
		AvatarURL: "https://thirdwx.qlogo.cn/mmopen/vi_32/" + base64.RawURLEncoding.EncodeToString(sum[:]) + "/132",
	}
}

// madeUpPhoneNumber is in the form of China's mobile numbers.
func madeUpPhoneNumber(name string) string {
	sum := sha256.Sum256([]byte("phone number\x00" + name))
	return fmt.Sprintf("138%08d", binary.BigEndian.Uint32(sum[:])%1e8)
}

// newSessionKey is base64 of 16 random bytes, 24 characters.
func newSessionKey() string { return base64.StdEncoding.EncodeToString(randomBytes(16)) }

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}
