package wechattest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"image"
	"image/color"
	"image/jpeg"
	"net/http"
)

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
