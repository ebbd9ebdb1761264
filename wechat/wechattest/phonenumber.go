package wechattest

import (
	"net/http"

	"wxlogin/wechat"
)

// PhoneData is what the phone button gives the mini-program in the old way.
type PhoneData struct {
	ErrMsg        string `json:"errMsg"`
	EncryptedData string `json:"encryptedData"`
	IV            string `json:"iv"`
}

// phoneInfo is a phone number as WeChat writes it.
type phoneInfo struct {
	PhoneNumber     string           `json:"phoneNumber"`
	PurePhoneNumber string           `json:"purePhoneNumber"`
	CountryCode     string           `json:"countryCode"`
	Watermark       wechat.Watermark `json:"watermark"`
}

// PhoneCode is the phone button: it returns a new code, 32 characters, for this user in this mini-program.
func (p *Device) PhoneCode() (code string) {
	p.sim.mu.Lock()
	defer p.sim.mu.Unlock()
	return p.sim.issueLocked(issuedCode{account: p.id, made: p.sim.now(), forPhone: true})
}

// GetPhoneNumber is the phone button in the old way: the number, encrypted under the present session_key.
func (p *Device) GetPhoneNumber() PhoneData {
	person, a := p.state()
	info := p.sim.phoneInfo(person, p.id.appID)
	if person.CountryCode == "86" {
		info.PhoneNumber = person.PhoneNumber
	}
	encryptedData, iv := Seal(a.sessionKey, encode(info))
	return PhoneData{ErrMsg: "getPhoneNumber:ok", EncryptedData: encryptedData, IV: iv}
}

// PhoneNumber returns the user's national phone number.
func (p *Device) PhoneNumber() string {
	person, _ := p.state()
	return person.PhoneNumber
}

func (s *Simulator) phoneInfo(person User, appID string) phoneInfo {
	return phoneInfo{
		PhoneNumber:     "+" + person.CountryCode + person.PhoneNumber,
		PurePhoneNumber: person.PhoneNumber,
		CountryCode:     person.CountryCode,
		Watermark:       wechat.Watermark{Timestamp: s.now().Unix(), AppID: appID},
	}
}

type phoneAnswer struct {
	ErrCode   int       `json:"errcode"`
	ErrMsg    string    `json:"errmsg"`
	PhoneInfo phoneInfo `json:"phone_info"`
}

// getUserPhoneNumber is POST /wxa/business/getuserphonenumber.
func (s *Simulator) getUserPhoneNumber(r *http.Request, body []byte) (any, int) {
	appID, errCode := s.checkToken(r.URL.Query().Get("access_token"))
	if errCode != 0 {
		return nil, errCode
	}
	var call struct {
		Code   string `json:"code"`
		OpenID string `json:"openid"`
	}
	if errCode := readJSON(r, body, &call); errCode != 0 {
		return nil, errCode
	}
	person, errCode := s.spendPhoneCode(appID, call.Code, call.OpenID)
	if errCode != 0 {
		return nil, errCode
	}
	return phoneAnswer{ErrMsg: "ok", PhoneInfo: s.phoneInfo(person, appID)}, 0
}

// spendPhoneCode spends a code of the phone button. It must be of the mini-program that the access_token is of, and of the user
// who pressed the button, if an openid is given.
func (s *Simulator) spendPhoneCode(appID, code, openID string) (person User, errCode int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, known := s.codes[code]
	if !known || !c.forPhone || c.spent || s.expired(c, s.now()) {
		return User{}, 40029
	}
	if c.account.appID != appID {
		return User{}, 40013
	}
	if openID != "" && openID != s.accounts[c.account].openID {
		return User{}, 40029
	}
	c.spent = true
	return s.people[c.account.name], 0
}
