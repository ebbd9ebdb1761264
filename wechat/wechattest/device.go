package wechattest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"image"
	"image/color"
	"image/jpeg"
	"net/http"
	"time"
)

// minSweep is the least number of codes that is worth looking through for old ones.
const minSweep = 1024

// Phone is a user with a mini-program open. Several phones of one user in one mini-program share the session_key, as
// with WeChat.
type Device struct {
	sim *Simulator
	id  accountID
}

// issuedCode is a code of wx.login, or of the phone button.
type issuedCode struct {
	account  accountID
	made     time.Time
	spent    bool
	forPhone bool
}

// Phone returns the phone of user u in the mini-program appID; "" means the first of the appids in alphabetical order.
// A user of a known Name is the same person in every mini-program, and what u says beyond the name replaces what was
// known. Phone panics without a Name, and for a mini-program that the simulator does not have.
func (s *Simulator) Device(appID string, u User) *Device {
	if appID == "" {
		appID = s.defaultApp
	}
	if _, ok := s.apps[appID]; !ok {
		panic("wechattest: Phone: no such app")
	}
	if u.Name == "" {
		panic("wechattest: Phone: User.Name is empty")
	}
	s.register(appID, u)
	return &Device{sim: s, id: accountID{appID, u.Name}}
}

// Login is wx.login: it returns a new code, 32 characters. It replaces the user's session_key where that is older than
// Options.MinKeyAge.
func (p *Device) Login() (code string) {
	s := p.sim
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if a := s.accounts[p.id]; s.minKeyAge < 0 || now.Sub(a.keyMade) > s.minKeyAge {
		a.sessionKey, a.keyMade = newSessionKey(), now
	}
	return s.issueLocked(issuedCode{account: p.id, made: now})
}

// issueLocked makes a new code, 32 characters. s.mu is held.
func (s *Simulator) issueLocked(c issuedCode) string {
	code := hex.EncodeToString(randomBytes(16))
	s.sweepLocked(c.made)
	s.codes[code] = &c
	return code
}

// sweepLocked removes expired codes whenever their number has doubled, so that a simulator under load stays small.
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

func (s *Simulator) expired(c *issuedCode, now time.Time) bool { return now.Sub(c.made) >= s.codeTTL }

// NewSessionKey replaces the user's session_key at once, whatever its age: what was encrypted before cannot be opened
// with the key of a later exchange.
func (p *Device) NewSessionKey() {
	s := p.sim
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[p.id]
	a.sessionKey, a.keyMade = newSessionKey(), s.now()
}

// Bind sets the user's unionid in all mini-programs, as when these are bound to an Open Platform account later on; ""
// takes it away.
func (p *Device) SetUnionID(unionID string) {
	s := p.sim
	s.mu.Lock()
	defer s.mu.Unlock()
	person := s.people[p.id.name]
	person.UnionID = unionID
	s.people[p.id.name] = person
}

// AppID returns the mini-program that the phone has open.
func (p *Device) AppID() string { return p.id.appID }

// OpenID returns the user's openid in this mini-program.
func (p *Device) OpenID() string {
	_, a := p.state()
	return a.openID
}

// SessionKey returns the user's present session_key. No phone knows it: it is here for tests that search for leaks.
func (p *Device) SessionKey() string {
	_, a := p.state()
	return a.sessionKey
}

func (p *Device) state() (User, account) {
	p.sim.mu.Lock()
	defer p.sim.mu.Unlock()
	return p.sim.people[p.id.name], *p.sim.accounts[p.id]
}

// avatarSide is the width and height of a chosen avatar in pixels.
const avatarSide = 132

// TempFile is a file on the phone. Its path means nothing anywhere else, and nothing tomorrow.
type TempFile struct {
	Path string `json:"avatarUrl"` // http://tmp/…
	Data []byte `json:"data"`      // JPEG
}

// ChooseAvatar is the button of open-type chooseAvatar: what wx.uploadFile would send. The picture is made up, always the
// same for the same user; the path is another one each time.
func (p *Device) ChooseAvatar() TempFile {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, madeUpAvatar(p.id.name), nil); err != nil {
		panic("wechattest: a picture cannot be encoded: " + err.Error())
	}
	return TempFile{Path: "http://tmp/" + hex.EncodeToString(randomBytes(16)) + ".jpeg", Data: b.Bytes()}
}

// madeUpAvatar is five by five fields in a colour of the user's.
func madeUpAvatar(name string) image.Image {
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

func (s *Simulator) controlChooseAvatar(r *http.Request) (any, error) {
	phone, err := s.controlPhone(r)
	if err != nil {
		return nil, err
	}
	return phone.ChooseAvatar(), nil
}

func (s *Simulator) controlBind(r *http.Request) (any, error) {
	phone, err := s.controlPhone(r)
	if err != nil {
		return nil, err
	}
	unionID := r.FormValue("unionid")
	if unionID != "" && !validName(unionID) {
		return nil, errUnion
	}
	phone.SetUnionID(unionID)
	return statusOK, nil
}
