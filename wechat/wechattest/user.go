package wechattest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"
)

// User is a person with a WeChat account. Only Name is required.
type User struct {
	Name    string // identifies the user in all mini-programs; leaves the simulator only in a generated Info
	OpenID  string // the openid in the mini-program of the Device. Default: generated from appid and name
	UnionID string // "" if the mini-program is not bound to an Open Platform account
	Info    Info   // the user's profile. Default: generated from the name

	CountryCode string // of the phone number. Default: 86
	PhoneNumber string // the national number. Default: 11 digits generated from the name
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

// accountID is a user in one mini-program.
type accountID struct{ appID, name string }

// account is a user's account in one mini-program. It has one valid session_key at a time, whatever the number of
// devices.
type account struct {
	openID       string
	sessionKey   string
	keyCreatedAt time.Time
}

// register adds u, or updates a known user with the fields that are set in u.
func (s *Simulator) register(appID string, u User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	user, known := s.users[u.Name]
	if !known {
		user = User{Name: u.Name, Info: generatedInfo(u.Name), CountryCode: "86", PhoneNumber: generatedPhoneNumber(u.Name)}
	}
	if u.UnionID != "" {
		user.UnionID = u.UnionID
	}
	if u.Info != (Info{}) {
		user.Info = u.Info
	}
	if u.CountryCode != "" {
		user.CountryCode = u.CountryCode
	}
	if u.PhoneNumber != "" {
		user.PhoneNumber = u.PhoneNumber
	}
	s.users[u.Name] = user

	id := accountID{appID, u.Name}
	a, known := s.accounts[id]
	if !known {
		a = &account{openID: generatedOpenID(id), sessionKey: newSessionKey(), keyCreatedAt: s.now()}
		s.accounts[id] = a
	}
	if u.OpenID != "" {
		a.openID = u.OpenID
	}
}

// generatedOpenID returns 28 characters like those of WeChat: "o" and then base64url.
func generatedOpenID(id accountID) string {
	sum := sha256.Sum256([]byte("openid\x00" + id.appID + "\x00" + id.name))
	return "o" + base64.RawURLEncoding.EncodeToString(sum[:])[:27]
}

func generatedInfo(name string) Info {
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

// generatedPhoneNumber returns a number in the form of China's mobile numbers.
func generatedPhoneNumber(name string) string {
	sum := sha256.Sum256([]byte("phone number\x00" + name))
	return fmt.Sprintf("138%08d", binary.BigEndian.Uint32(sum[:])%1e8)
}

// newSessionKey returns the base64 of 16 random bytes, 24 characters.
func newSessionKey() string { return base64.StdEncoding.EncodeToString(randomBytes(16)) }

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}
