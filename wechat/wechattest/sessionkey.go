package wechattest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"time"

	"wxlogin/wechat"
)

// SealedData is the result of wx.getWeRunData, of wx.getGroupEnterInfo and, in older mini-programs, of the phone button.
type SealedData struct {
	ErrMsg        string `json:"errMsg"`
	EncryptedData string `json:"encryptedData"`
	IV            string `json:"iv"`
}

// seal encrypts data under the current session_key.
func (d *Device) seal(errMsg string, data any) SealedData {
	_, a := d.snapshot()
	sealed := SealedData{ErrMsg: errMsg}
	sealed.EncryptedData, sealed.IV = Seal(a.sessionKey, encode(data))
	return sealed
}

func (d *Device) watermark() wechat.Watermark {
	return wechat.Watermark{Timestamp: d.sim.now().Unix(), AppID: d.id.appID}
}

// stepDays is how many days wx.getWeRunData returns, the last of which is today.
const stepDays = 31

// dayZone is the time zone of days at WeChat.
var dayZone = time.FixedZone("UTC+8", 8*60*60)

// dailySteps is an element of stepInfoList.
type dailySteps struct {
	Timestamp int64 `json:"timestamp"` // when the day began
	Step      int   `json:"step"`
}

// GetWeRunData is wx.getWeRunData. It returns the user's steps of 31 days, generated from the name and the day, encrypted
// under the current session_key.
func (d *Device) GetWeRunData() SealedData {
	year, month, today := d.sim.now().In(dayZone).Date()
	var days []dailySteps
	for n := range stepDays {
		began := time.Date(year, month, today-stepDays+1+n, 0, 0, 0, 0, dayZone).Unix()
		days = append(days, dailySteps{began, generatedSteps(d.id.name, began)})
	}
	return d.seal("getWeRunData:ok", struct {
		StepInfoList []dailySteps     `json:"stepInfoList"`
		Watermark    wechat.Watermark `json:"watermark"`
	}{days, d.watermark()})
}

// GetGroupEnterInfo is wx.getGroupEnterInfo. It returns the group chat from which the mini-program was opened, encrypted
// under the current session_key. Each mini-program has one group, which all its users are in.
func (d *Device) GetGroupEnterInfo() SealedData {
	return d.seal("getGroupEnterInfo:ok", struct {
		OpenGID   string           `json:"openGId"`
		Watermark wechat.Watermark `json:"watermark"`
	}{generatedGroupID(d.id.appID), d.watermark()})
}

// Pay is wx.requestVirtualPayment, of which it plays only the check of the signature: it reports whether signature is
// that of signData under the user's current session_key.
func (d *Device) Pay(signData, signature string) bool {
	_, a := d.snapshot()
	mac := hmac.New(sha256.New, []byte(a.sessionKey))
	mac.Write([]byte(signData))
	return hmac.Equal([]byte(hex.EncodeToString(mac.Sum(nil))), []byte(signature))
}

func controlPay(d *Device, r *http.Request) (any, error) {
	data, signature := r.FormValue("data"), r.FormValue("signature")
	if data == "" || signature == "" {
		return nil, errors.New("data and signature are required")
	}
	return map[string]bool{"valid": d.Pay(data, signature)}, nil
}

func generatedSteps(name string, began int64) int {
	sum := sha256.Sum256([]byte("steps\x00" + name + "\x00" + strconv.FormatInt(began, 10)))
	return int(binary.BigEndian.Uint32(sum[:]) % 20_000)
}

// generatedGroupID returns an openGId like those of WeChat: "G" and then base64url.
func generatedGroupID(appID string) string {
	sum := sha256.Sum256([]byte("group\x00" + appID))
	return "G" + base64.RawURLEncoding.EncodeToString(sum[:])[:27]
}
