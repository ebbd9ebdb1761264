package avatar

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"image"
	"image/color"
	_ "image/gif" // formats that image.Decode reads
	"image/jpeg"
	"image/png"

	"golang.org/x/image/draw"
	_ "golang.org/x/image/webp"
)

const (
	// MaxBytes is the largest file that Make takes.
	MaxBytes = 4 << 20

	// MaxSide is how wide or high, in pixels, a Picture is at most.
	MaxSide = 512

	// A file that is no larger than MaxBytes may still claim a picture that fills the memory: these many pixels take 64 MiB.
	maxGivenSide   = 8192
	maxGivenPixels = 16 << 20

	jpegQuality = 85
)

// ErrPicture says that a file is no picture that can be used: not JPEG, PNG, WebP or GIF, too many pixels, cut off, damaged,
// or something else behind a picture.
var ErrPicture = errors.New("avatar: not a picture that can be used")

// Picture is an avatar, ready to be kept.
type Picture struct {
	Name string // 32 hex digits of the SHA-256 of Data, and .jpg or .png
	Data []byte
}

// Make decodes a file, turns it as its EXIF data says, scales it down to MaxSide and encodes it: as JPEG, or as PNG where it
// is transparent somewhere. Of an animation it takes the first picture. Every fault of the file is ErrPicture.
func Make(file []byte) (Picture, error) {
	if len(file) > MaxBytes {
		return Picture{}, ErrPicture
	}
	config, format, err := image.DecodeConfig(bytes.NewReader(file))
	if err != nil || !sensible(config) {
		return Picture{}, ErrPicture
	}
	if !endsWithPicture(format, file) {
		return Picture{}, ErrPicture
	}
	given, _, err := image.Decode(bytes.NewReader(file))
	if err != nil || given.Bounds().Dx() != config.Width || given.Bounds().Dy() != config.Height {
		return Picture{}, ErrPicture
	}
	return encode(orientationOf(format, file).apply(shrink(given)))
}

// sensible looks at what a file claims, before anything of that size is made.
func sensible(c image.Config) bool {
	return c.Width >= 1 && c.Height >= 1 && c.Width <= maxGivenSide && c.Height <= maxGivenSide &&
		c.Width*c.Height <= maxGivenPixels
}

// shrink scales a picture down so that it fits into MaxSide; smaller ones stay as they are.
func shrink(given image.Image) *image.NRGBA {
	w, h := given.Bounds().Dx(), given.Bounds().Dy()
	if longest := max(w, h); longest > MaxSide {
		w, h = max(1, w*MaxSide/longest), max(1, h*MaxSide/longest)
	}
	scaled := image.NewNRGBA(image.Rect(0, 0, w, h))
	draw.CatmullRom.Scale(scaled, scaled.Bounds(), given, given.Bounds(), draw.Src, nil)
	return scaled
}

func encode(picture *image.NRGBA) (Picture, error) {
	var b bytes.Buffer
	extension := ".jpg"
	var err error
	if picture.Opaque() {
		err = jpeg.Encode(&b, picture, &jpeg.Options{Quality: jpegQuality})
	} else {
		extension = ".png"
		hideInvisible(picture)
		err = png.Encode(&b, picture)
	}
	if err != nil {
		return Picture{}, err
	}
	hash := sha256.Sum256(b.Bytes())
	return Picture{Name: hex.EncodeToString(hash[:16]) + extension, Data: b.Bytes()}, nil
}

// hideInvisible takes the colour out of pixels that nobody sees.
func hideInvisible(picture *image.NRGBA) {
	for i := 3; i < len(picture.Pix); i += 4 {
		if picture.Pix[i] == 0 {
			copy(picture.Pix[i-3:i], []byte{0, 0, 0})
		}
	}
}

// turned is a picture whose pixel (x, y) is at(x, y) of another one.
func turned(w, h int, at func(x, y int) color.NRGBA) *image.NRGBA {
	picture := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			picture.SetNRGBA(x, y, at(x, y))
		}
	}
	return picture
}
