package wechattest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"

	"wxlogin/wechat"
)

// OpenData is what wx.getUserInfo and wx.getUserProfile give the mini-program.
type OpenData struct {
	ErrMsg        string `json:"errMsg"`
	RawData       string `json:"rawData"`
	Signature     string `json:"signature"`
	EncryptedData string `json:"encryptedData"`
	IV            string `json:"iv"`
	UserInfo      Info   `json:"userInfo"`
}

// plainData is what encryptedData holds, in the order of WeChat's own sample.
type plainData struct {
	OpenID string `json:"openId,omitempty"`
	Info
	UnionID   string           `json:"unionId,omitempty"`
	Watermark wechat.Watermark `json:"watermark"`
}

// GetUserInfo is wx.getUserInfo as it was until 2021, and still is for old releases: the real profile, with openId and,
// where bound, unionId. It is encrypted under the present session_key.
func (p *Device) GetUserInfo() OpenData {
	person, a := p.state()
	return p.seal("getUserInfo:ok", a, person.Info, a.openID, person.UnionID)
}

// GetUserProfile is wx.getUserProfile: the profile without openId and unionId.
func (p *Device) GetUserProfile() OpenData {
	person, a := p.state()
	return p.seal("getUserProfile:ok", a, person.Info, "", "")
}

// GetPlaceholder is wx.getUserInfo as it is since 2021: a placeholder for everybody, with openId and, where bound,
// unionId.
func (p *Device) GetPlaceholder() OpenData {
	person, a := p.state()
	placeholder := Info{
		NickName:  wechat.AnonymousNickName,
		Language:  "zh_CN",
		AvatarURL: wechat.AnonymousAvatarURL,
	}
	return p.seal("getUserInfo:ok", a, placeholder, a.openID, person.UnionID)
}

func (p *Device) seal(errMsg string, a account, info Info, openID, unionID string) OpenData {
	raw := string(encode(info))
	encryptedData, iv := Seal(a.sessionKey, encode(plainData{
		OpenID:    openID,
		Info:      info,
		UnionID:   unionID,
		Watermark: wechat.Watermark{Timestamp: p.sim.now().Unix(), AppID: p.id.appID},
	}))
	return OpenData{
		ErrMsg:        errMsg,
		RawData:       raw,
		Signature:     Sign(a.sessionKey, raw),
		EncryptedData: encryptedData,
		IV:            iv,
		UserInfo:      info,
	}
}

// Seal encrypts plain as WeChat does, under a fresh iv: AES-128-CBC, PKCS#7, base64. It panics where sessionKey is not
// the base64 of 16 bytes.
func Seal(sessionKey string, plain []byte) (encryptedData, iv string) {
	key, err := base64.StdEncoding.DecodeString(sessionKey)
	if err != nil || len(key) != aes.BlockSize {
		panic("wechattest: Seal: not a session_key")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("wechattest: Seal: " + err.Error())
	}
	n := aes.BlockSize - len(plain)%aes.BlockSize
	data := append(bytes.Clone(plain), bytes.Repeat([]byte{byte(n)}, n)...)
	vector := randomBytes(aes.BlockSize)
	cipher.NewCBCEncrypter(block, vector).CryptBlocks(data, data)
	return base64.StdEncoding.EncodeToString(data), base64.StdEncoding.EncodeToString(vector)
}

// Sign returns WeChat's signature over rawData: hex(sha1(rawData + sessionKey)), with the key as text.
func Sign(sessionKey, rawData string) string {
	sum := sha1.Sum([]byte(rawData + sessionKey))
	return hex.EncodeToString(sum[:])
}

// encode writes JSON as WeChat does, with "<", ">" and "&" as they are.
func encode(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("wechattest: " + err.Error()) // only our own plain structs come here
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

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
