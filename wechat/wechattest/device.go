package wechattest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"image"
	"image/color"
	"image/jpeg"
	"time"
)

// minSweep is the minimum number of codes at which expired ones are removed.
const minSweep = 1024

// Device is a user with a mini-program open. Several devices of one user in one mini-program share the session_key, as
// with WeChat.
type Device struct {
	sim *Simulator
	id  accountID
}

// issuedCode is a code of wx.login, or of the phone button.
type issuedCode struct {
	account     accountID
	issuedAt    time.Time
	spent       bool
	isPhoneCode bool
}

// Device returns a device of user u in the mini-program appID; "" means the first of the appids in alphabetical order.
// Users with one Name are the same user in every mini-program. The other fields of u, if set, replace the known ones.
// Device panics if the Name is empty or if the simulator does not have the mini-program.
func (s *Simulator) Device(appID string, u User) *Device {
	if appID == "" {
		appID = s.defaultApp
	}
	if _, ok := s.apps[appID]; !ok {
		panic("wechattest: Device: no such app")
	}
	if u.Name == "" {
		panic("wechattest: Device: User.Name is empty")
	}
	s.register(appID, u)
	return &Device{sim: s, id: accountID{appID, u.Name}}
}

// Login is wx.login. It returns a new code of 32 characters. It replaces the user's session_key if that is older than
// Options.MinKeyAge.
func (d *Device) Login() (code string) {
	s := d.sim
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if a := s.accounts[d.id]; s.minKeyAge < 0 || now.Sub(a.keyCreatedAt) > s.minKeyAge {
		a.sessionKey, a.keyCreatedAt = newSessionKey(), now
	}
	return s.issueLocked(issuedCode{account: d.id, issuedAt: now})
}

// issueLocked issues a new code of 32 characters. s.mu is held.
func (s *Simulator) issueLocked(c issuedCode) string {
	code := hex.EncodeToString(randomBytes(16))
	s.sweepLocked(c.issuedAt)
	s.codes[code] = &c
	return code
}

// sweepLocked removes expired codes whenever the number of codes has doubled, so that memory stays bounded under load.
func (s *Simulator) sweepLocked(now time.Time) {
	if len(s.codes) < s.sweepAt {
		return
	}
	for code, c := range s.codes {
		if s.expired(c, now) {
			delete(s.codes, code)
		}
	}
	s.sweepAt = max(minSweep, 2*len(s.codes))
}

func (s *Simulator) expired(c *issuedCode, now time.Time) bool {
	return now.Sub(c.issuedAt) >= s.codeTTL
}

// NewSessionKey replaces the user's session_key at once, whatever its age. Data encrypted before cannot be decrypted
// with the key of a later login.
func (d *Device) NewSessionKey() {
	s := d.sim
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[d.id]
	a.sessionKey, a.keyCreatedAt = newSessionKey(), s.now()
}

// SetUnionID sets the user's unionid in all mini-programs, as if these were bound to an Open Platform account; ""
// removes it.
func (d *Device) SetUnionID(unionID string) { d.changeUser(func(u *User) { u.UnionID = unionID }) }

func (d *Device) changeUser(change func(*User)) {
	d.sim.mu.Lock()
	defer d.sim.mu.Unlock()
	user := d.sim.users[d.id.name]
	change(&user)
	d.sim.users[d.id.name] = user
}

// AppID returns the appid of the mini-program.
func (d *Device) AppID() string { return d.id.appID }

// OpenID returns the user's openid in this mini-program.
func (d *Device) OpenID() string {
	_, a := d.snapshot()
	return a.openID
}

// SessionKey returns the user's current session_key. Real devices do not have it; it is for tests that search for leaks.
func (d *Device) SessionKey() string {
	_, a := d.snapshot()
	return a.sessionKey
}

func (d *Device) snapshot() (User, account) {
	d.sim.mu.Lock()
	defer d.sim.mu.Unlock()
	return d.sim.users[d.id.name], *d.sim.accounts[d.id]
}

// avatarSide is the width and height of a chosen avatar in pixels.
const avatarSide = 132

// TempFile is a temporary file on the device. Its path is valid only there, and only for a while.
type TempFile struct {
	Path string `json:"avatarUrl"` // http://tmp/…
	Data []byte `json:"data"`      // JPEG
}

// ChooseAvatar is the button of open-type chooseAvatar. It returns the file that wx.uploadFile would send: a generated
// picture, always the same for a user, with a new path each time.
func (d *Device) ChooseAvatar() TempFile {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, generatedAvatar(d.id.name), nil); err != nil {
		panic("wechattest: cannot encode the picture: " + err.Error())
	}
	return TempFile{Path: "http://tmp/" + hex.EncodeToString(randomBytes(16)) + ".jpeg", Data: b.Bytes()}
}

// generatedAvatar returns a picture of five by five squares in a colour that depends on the name.
func generatedAvatar(name string) image.Image {
	sum := sha256.Sum256([]byte("avatar\x00" + name))
	picture := image.NewNRGBA(image.Rect(0, 0, avatarSide, avatarSide))
	for y := range avatarSide {
		for x := range avatarSide {
			field := 5*(y*5/avatarSide) + x*5/avatarSide
			c := color.NRGBA{R: 240, G: 240, B: 240, A: 255}
			if sum[3+field]%2 == 0 {
				c = color.NRGBA{R: sum[0], G: sum[1], B: sum[2], A: 255}
			}
			picture.SetNRGBA(x, y, c)
		}
	}
	return picture
}
