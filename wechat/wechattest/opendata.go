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

// OpenData is the result of wx.getUserInfo and wx.getUserProfile.
type OpenData struct {
	ErrMsg        string `json:"errMsg"`
	RawData       string `json:"rawData"`
	Signature     string `json:"signature"`
	EncryptedData string `json:"encryptedData"`
	IV            string `json:"iv"`
	UserInfo      Info   `json:"userInfo"`
}

// plainData is the plaintext of encryptedData, in the order of WeChat's sample.
type plainData struct {
	OpenID string `json:"openId,omitempty"`
	Info
	UnionID   string           `json:"unionId,omitempty"`
	Watermark wechat.Watermark `json:"watermark"`
}

// GetUserInfo is wx.getUserInfo as it was until 2021, and still is for old releases of a mini-program. It returns the
// real profile with openId and, if the user has one, unionId, encrypted under the current session_key.
func (d *Device) GetUserInfo() OpenData {
	user, a := d.snapshot()
	return d.encryptInfo("getUserInfo:ok", a, user.Info, a.openID, user.UnionID)
}

// GetUserProfile is wx.getUserProfile. It returns the profile without openId and unionId.
func (d *Device) GetUserProfile() OpenData {
	user, a := d.snapshot()
	return d.encryptInfo("getUserProfile:ok", a, user.Info, "", "")
}

// GetPlaceholder is wx.getUserInfo since 2021. It returns a placeholder with openId and, if the user has one, unionId.
func (d *Device) GetPlaceholder() OpenData {
	user, a := d.snapshot()
	placeholder := Info{NickName: wechat.AnonymousNickName, Language: "zh_CN", AvatarURL: wechat.AnonymousAvatarURL}
	return d.encryptInfo("getUserInfo:ok", a, placeholder, a.openID, user.UnionID)
}

func (d *Device) encryptInfo(errMsg string, a account, info Info, openID, unionID string) OpenData {
	raw := string(encode(info))
	data := OpenData{ErrMsg: errMsg, RawData: raw, Signature: Sign(a.sessionKey, raw), UserInfo: info}
	data.EncryptedData, data.IV = Seal(a.sessionKey, encode(plainData{openID, info, unionID, d.watermark()}))
	return data
}

// Seal encrypts plain as WeChat does, with a random iv: AES-128-CBC, PKCS#7, base64. It panics if sessionKey is not the
// base64 of 16 bytes.
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

// Sign returns WeChat's signature of rawData: hex(sha1(rawData + sessionKey)), with the key as text.
func Sign(sessionKey, rawData string) string {
	sum := sha1.Sum([]byte(rawData + sessionKey))
	return hex.EncodeToString(sum[:])
}

// encode returns JSON as WeChat does, without escaping "<", ">" and "&".
func encode(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("wechattest: " + err.Error()) // only this package's structs are encoded
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// phoneInfo is a phone number in WeChat's format.
type phoneInfo struct {
	PhoneNumber     string           `json:"phoneNumber"`
	PurePhoneNumber string           `json:"purePhoneNumber"`
	CountryCode     string           `json:"countryCode"`
	Watermark       wechat.Watermark `json:"watermark"`
}

// PhoneCode is the phone button. It returns a new code of 32 characters for this user in this mini-program.
func (d *Device) PhoneCode() (code string) {
	d.sim.mu.Lock()
	defer d.sim.mu.Unlock()
	return d.sim.issueLocked(issuedCode{account: d.id, issuedAt: d.sim.now(), isPhoneCode: true})
}

// GetPhoneNumber is the phone button in older mini-programs. It returns the number, encrypted under the current
// session_key.
func (d *Device) GetPhoneNumber() SealedData {
	user, _ := d.snapshot()
	info := d.sim.phoneInfo(user, d.id.appID)
	if user.CountryCode == "86" {
		info.PhoneNumber = user.PhoneNumber
	}
	return d.seal("getPhoneNumber:ok", info)
}

// PhoneNumber returns the user's national phone number.
func (d *Device) PhoneNumber() string {
	user, _ := d.snapshot()
	return user.PhoneNumber
}

func (s *Simulator) phoneInfo(user User, appID string) phoneInfo {
	return phoneInfo{
		PhoneNumber:     "+" + user.CountryCode + user.PhoneNumber,
		PurePhoneNumber: user.PhoneNumber,
		CountryCode:     user.CountryCode,
		Watermark:       wechat.Watermark{Timestamp: s.now().Unix(), AppID: appID},
	}
}
