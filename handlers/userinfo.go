package handlers

import (
	"strings"

	"wxlogin/internal/avatar"
	"wxlogin/store"
)

// userInfo is a profile under WeChat's names; every field is always present.
type userInfo struct {
	NickName  string `json:"nickName"`
	AvatarURL string `json:"avatarUrl"`
	Gender    int    `json:"gender"` // 0 unknown, 1 male, 2 female
	Country   string `json:"country"`
	Province  string `json:"province"`
	City      string `json:"city"`
	Language  string `json:"language"`
}

// profileAnswer is the part about the user that answers share.
type profileAnswer struct {
	ProfileComplete bool     `json:"profileComplete"`
	PhoneNumber     string   `json:"phoneNumber"` // masked; "" if none is bound, so that clients know whether to ask for it
	UserInfo        userInfo `json:"userInfo"`
}

func (p *public) profileAnswer(u store.User) profileAnswer {
	return profileAnswer{
		ProfileComplete: u.ProfileComplete(), PhoneNumber: maskPhone(u.Phone.Number), UserInfo: p.userInfo(u),
	}
}

func (p *public) userInfo(u store.User) userInfo {
	info := userInfo{
		NickName: u.NickName, AvatarURL: u.AvatarURL, Gender: u.Gender,
		Country: u.Country, Province: u.Province, City: u.City, Language: u.Language,
	}
	switch {
	case p.avatars != nil:
		info.AvatarURL = p.avatars.URL(u.AvatarURL)
	case strings.HasPrefix(u.AvatarURL, avatar.Path):
		info.AvatarURL = "" // uploads were turned off
	}
	return info
}
