package avatar

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/webp"
)

// MaxSide is how wide or high, in pixels, a Picture is at most.
const MaxSide = 512

const jpegQuality = 85

// Picture is an avatar, ready to be kept.
type Picture struct {
	Data      []byte
	Extension string // .jpg or .png
}

// Make decodes a file, turns it as its EXIF data says, scales it down to MaxSide and encodes it: as JPEG, or as PNG if it
// is transparent somewhere. Of an animation it takes the first picture. The plan is what Inspect returned for this file. If
// ctx ends, Make stops soon and returns its error; every other error is one of this package's.
func Make(ctx context.Context, file []byte, plan Plan) (Picture, error) {
	decode := decoders[plan.Format]
	if decode == nil {
		return Picture{}, ErrPicture
	}
	given, err := decode(ctx, file)
	if ended := ctx.Err(); ended != nil {
		return Picture{}, ended
	}
	if err != nil {
		return Picture{}, classify(err)
	}
	if given.Bounds().Size() != plan.frame.Size() {
		return Picture{}, ErrPicture
	}
	small, err := shrink(ctx, given, plan)
	if err != nil {
		return Picture{}, err
	}
	return encode(orientationOf(plan.Format, file).apply(small))
}

// decoders read a file as long as a context has not ended.
var decoders = map[string]func(ctx context.Context, file []byte) (image.Image, error){
	"jpeg": decoder(jpeg.Decode, asReader),
	"png":  decoder(png.Decode, asReader),
	"gif":  decoder(gif.Decode, asReader),
	"webp": decoder(webp.Decode, func(file []byte) io.Reader { return firstWebPPicture(file).reader() }),
}

func asReader(file []byte) io.Reader { return bytes.NewReader(file) }

func decoder(decode func(io.Reader) (image.Image, error), open func([]byte) io.Reader) func(context.Context, []byte) (image.Image, error) {
	return func(ctx context.Context, file []byte) (image.Image, error) {
		return decode(&contextReader{ctx: ctx, r: open(file)})
	}
}

// contextReader reads nothing once its context has ended.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// classify returns the error of this package for that of a decoder.
func classify(err error) error {
	if _, ok := errors.AsType[jpeg.UnsupportedError](err); ok {
		return ErrUnsupported
	}
	return ErrPicture
}

func encode(picture *image.NRGBA) (Picture, error) {
	var b bytes.Buffer
	if picture.Opaque() {
		rgba := &image.RGBA{Pix: picture.Pix, Stride: picture.Stride, Rect: picture.Rect} // the same without transparency, and faster
		err := jpeg.Encode(&b, rgba, &jpeg.Options{Quality: jpegQuality})
		return Picture{Data: b.Bytes(), Extension: ".jpg"}, err
	}
	hideInvisible(picture)
	err := png.Encode(&b, picture)
	return Picture{Data: b.Bytes(), Extension: ".png"}, err
}

// hideInvisible removes the colour of pixels that are fully transparent.
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
