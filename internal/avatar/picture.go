package avatar

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"time"

	"golang.org/x/image/webp"
)

// MaxSide is the maximum width and height of a Picture in pixels.
const MaxSide = 512

const jpegQuality = 85

// Picture is an encoded avatar.
type Picture struct {
	Data      []byte
	Extension string // .jpg or .png
}

// Make decodes a file, rotates it by its EXIF data, scales it down to MaxSide and encodes it: as PNG if it has
// transparent pixels, otherwise as JPEG. Of an animation it takes the first picture. plan must be what Inspect returned
// for this file. If ctx ends, Make stops soon and returns the context's error. All other errors are Err variables of
// this package.
func Make(ctx context.Context, file []byte, plan Plan) (Picture, error) {
	decode := decoders[plan.Format]
	if decode == nil {
		return Picture{}, ErrPicture
	}
	decoded, err := decode(ctx, file)
	if ended := ctx.Err(); ended != nil {
		return Picture{}, ended
	}
	if err != nil {
		return Picture{}, classify(err)
	}
	if decoded.Bounds().Size() != plan.frame.Size() {
		return Picture{}, ErrPicture
	}
	small, err := shrink(ctx, decoded, plan)
	if err != nil {
		return Picture{}, err
	}
	return encode(orientationOf(plan.Format, file).apply(small))
}

// decoders decode a file until the context ends.
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

// contextReader fails once its context has ended.
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

// classify maps a decoder's error to one of this package.
func classify(err error) error {
	if _, ok := errors.AsType[jpeg.UnsupportedError](err); ok {
		return ErrUnsupported
	}
	return ErrPicture
}

func encode(picture *image.NRGBA) (Picture, error) {
	var b bytes.Buffer
	if picture.Opaque() {
		rgba := &image.RGBA{Pix: picture.Pix, Stride: picture.Stride, Rect: picture.Rect} // jpeg.Encode is faster for RGBA; the opaque pixels are the same
		err := jpeg.Encode(&b, rgba, &jpeg.Options{Quality: jpegQuality})
		return Picture{Data: b.Bytes(), Extension: ".jpg"}, err
	}
	clearTransparent(picture)
	err := png.Encode(&b, picture)
	return Picture{Data: b.Bytes(), Extension: ".png"}, err
}

// clearTransparent removes the colour of fully transparent pixels.
func clearTransparent(picture *image.NRGBA) {
	for i := 3; i < len(picture.Pix); i += 4 {
		if picture.Pix[i] == 0 {
			copy(picture.Pix[i-3:i], []byte{0, 0, 0})
		}
	}
}

// remap returns a w x h picture whose pixel (x, y) is at(x, y).
func remap(w, h int, at func(x, y int) color.NRGBA) *image.NRGBA {
	picture := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			picture.SetNRGBA(x, y, at(x, y))
		}
	}
	return picture
}

// bandPixels is how many pixels of the source are converted at a time.
const bandPixels = 64 << 10

// thumbnailSize returns the size that fits into MaxSide. Smaller pictures keep their size.
func thumbnailSize(w, h int) (int, int) {
	if longest := max(w, h); longest > MaxSide {
		return max(1, w*MaxSide/longest), max(1, h*MaxSide/longest)
	}
	return w, h
}

// shrink scales the plan's canvas down. The canvas is transparent outside of the picture's frame.
func shrink(ctx context.Context, src image.Image, plan Plan) (*image.NRGBA, error) {
	w, h := thumbnailSize(plan.Width, plan.Height)
	small := image.NewNRGBA(image.Rect(0, 0, w, h))
	if w == plan.Width && h == plan.Height {
		drawAt(small, plan.frame.Min, src)
		return small, nil
	}
	s := newScaler(small, plan.Width, plan.Height)
	band := image.NewRGBA(image.Rect(0, 0, plan.Width, bandRows(plan.Width)))
	for y := 0; y < plan.Height; y += band.Rect.Dy() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		clear(band.Pix)
		drawAt(band, plan.frame.Min.Sub(image.Pt(0, y)), src)
		for row := range min(band.Rect.Dy(), plan.Height-y) {
			s.add(band.Pix[row*band.Stride:][:band.Stride])
		}
	}
	return small, nil
}

func bandRows(width int) int { return max(1, bandPixels/width) }

// drawAt copies a picture to dst, with its upper left corner at a point.
func drawAt(dst draw.Image, at image.Point, picture image.Image) {
	from := picture.Bounds()
	draw.Draw(dst, from.Sub(from.Min).Add(at), picture, from.Min, draw.Src)
}

// shrinkWork returns the time that Make takes after decoding.
func shrinkWork(plan Plan) time.Duration {
	return nanoseconds(int64(plan.Width)*int64(plan.Height), shrunkPixel) + nanoseconds(1, encodeWork)
}

// shrinkMemory returns the bytes that Make allocates after decoding.
func shrinkMemory(plan Plan) int64 {
	w, h := thumbnailSize(plan.Width, plan.Height)
	memory := encodeMemory(plan.Format, int64(w)*int64(h))
	if w != plan.Width || h != plan.Height {
		memory += scalerMemory(plan.Width, plan.Height) + 4*int64(plan.Width)*int64(bandRows(plan.Width))
	}
	return memory
}

// encodeMemory returns the bytes of the scaled picture, a rotated copy of it, and the encoder.
func encodeMemory(format string, pixels int64) int64 {
	const pixel = 4
	memory := 2 * pixel * pixels
	if opaque := format == "jpeg"; opaque {
		return memory + 64<<10 + pixel*pixels // the output is smaller than the pixels, its buffer doubles
	}
	const png = 1400 << 10 // the compressor
	return memory + png + 4*pixel*pixels
}
