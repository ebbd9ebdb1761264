package avatar

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"iter"
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
	decode := formats[plan.Format].decode
	if decode == nil {
		return Picture{}, ErrPicture
	}
	source := io.Reader(bytes.NewReader(file))
	if plan.Format == "webp" {
		source = firstWebPPicture(file).reader()
	}
	decoded, err := decode(&contextReader{ctx, source})
	if ended := ctx.Err(); ended != nil {
		return Picture{}, ended
	}
	if _, unsupported := errors.AsType[jpeg.UnsupportedError](err); unsupported {
		return Picture{}, ErrUnsupported
	}
	if err != nil {
		return Picture{}, ErrPicture
	}
	frame := decoded.Bounds().Add(plan.frame.Min)
	if frame.Empty() || frame != plan.frame && plan.Format != "gif" { // a GIF's picture may be a part of its screen
		return Picture{}, ErrPicture
	}
	plan.frame = frame
	small, err := shrink(ctx, decoded, plan)
	if err != nil {
		return Picture{}, err
	}
	return encode(orientationOf(plan.Format, file).apply(small))
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

func encode(picture *image.RGBA) (Picture, error) {
	var b bytes.Buffer
	if picture.Opaque() {
		err := jpeg.Encode(&b, picture, &jpeg.Options{Quality: jpegQuality})
		return Picture{Data: b.Bytes(), Extension: ".jpg"}, err
	}
	err := png.Encode(&b, picture)
	return Picture{Data: b.Bytes(), Extension: ".png"}, err
}

// orientation is how a picture must be rotated for display: a value of EXIF's tag 0x0112 (CIPA DC-008).
type orientation uint16

const upright orientation = 1

// apply rotates a picture. If EXIF does not define the orientation, the picture is returned unchanged.
func (o orientation) apply(p *image.RGBA) *image.RGBA {
	if o <= upright || o > 8 {
		return p
	}
	w, h := p.Rect.Dx(), p.Rect.Dy()
	source := [...]func(x, y int) (fromX, fromY int){
		2: func(x, y int) (int, int) { return w - 1 - x, y },
		3: func(x, y int) (int, int) { return w - 1 - x, h - 1 - y },
		4: func(x, y int) (int, int) { return x, h - 1 - y },
		5: func(x, y int) (int, int) { return y, x },
		6: func(x, y int) (int, int) { return y, h - 1 - x },
		7: func(x, y int) (int, int) { return w - 1 - y, h - 1 - x },
		8: func(x, y int) (int, int) { return w - 1 - y, x },
	}[o]
	size := image.Rect(0, 0, w, h)
	if o >= 5 { // rows become columns
		size = image.Rect(0, 0, h, w)
	}
	rotated := image.NewRGBA(size)
	for y := range size.Dy() {
		for x := range size.Dx() {
			rotated.SetRGBA(x, y, p.RGBAAt(source(x, y)))
		}
	}
	return rotated
}

// orientationOf returns the orientation in the EXIF data of a file, or upright if there is none.
func orientationOf(format string, file []byte) orientation {
	for tiff := range exifData(format, file) {
		if found := tiffOrientation(bytes.TrimPrefix(tiff, []byte(exifPrefix))); found != upright {
			return found
		}
	}
	return upright
}

// exifData yields the EXIF data of a file. A JPEG has it before the first scan.
func exifData(format string, file []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		switch format {
		case "jpeg":
			for marker, segment := range jpegSegments(file) {
				isEXIF := marker == markerAPP1 && bytes.HasPrefix(segment, []byte(exifPrefix))
				if marker == markerSOS || isEXIF && !yield(segment) {
					return
				}
			}
		case "png":
			for kind, chunk := range pngChunks(file) {
				if kind == "eXIf" && !yield(chunk) {
					return
				}
			}
		case "webp":
			for kind, chunk := range webpChunks(webpBody(file)) {
				if kind == "EXIF" && !yield(chunk) {
					return
				}
			}
		}
	}
}

// exifPrefix precedes EXIF data in a JPEG. Some programs write it to WebP too.
const exifPrefix = "Exif\x00\x00"

// tiffOrientation returns the orientation in the first directory of a TIFF structure.
func tiffOrientation(tiff []byte) orientation {
	const (
		entryBytes     = 12
		tagOrientation = 0x0112
		typeShort      = 3
	)
	if len(tiff) < 8 {
		return upright
	}
	var order binary.ByteOrder = binary.BigEndian
	if string(tiff[:2]) == "II" {
		order = binary.LittleEndian
	}
	start := uint64(order.Uint32(tiff[4:]))
	if start+2 > uint64(len(tiff)) {
		return upright
	}
	directory := tiff[start:]
	entries := int(order.Uint16(directory))
	for directory = directory[2:]; entries > 0 && len(directory) >= entryBytes; entries-- {
		if order.Uint16(directory) == tagOrientation && order.Uint16(directory[2:]) == typeShort {
			return orientation(order.Uint16(directory[8:]))
		}
		directory = directory[entryBytes:]
	}
	return upright
}
