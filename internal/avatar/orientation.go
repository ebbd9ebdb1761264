package avatar

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"iter"
)

// orientation is how a picture must be rotated for display: a value of EXIF's tag 0x0112 (CIPA DC-008).
type orientation uint16

const upright orientation = 1

// apply rotates a picture. If EXIF does not define the orientation, the picture is returned unchanged.
func (o orientation) apply(p *image.NRGBA) *image.NRGBA {
	w, h := p.Bounds().Dx(), p.Bounds().Dy()
	from := func(at func(x, y int) (int, int)) func(x, y int) color.NRGBA {
		return func(x, y int) color.NRGBA { return p.NRGBAAt(at(x, y)) }
	}
	switch o {
	case 2: // mirrored
		return remap(w, h, from(func(x, y int) (int, int) { return w - 1 - x, y }))
	case 3: // upside down
		return remap(w, h, from(func(x, y int) (int, int) { return w - 1 - x, h - 1 - y }))
	case 4: // upside down and mirrored
		return remap(w, h, from(func(x, y int) (int, int) { return x, h - 1 - y }))
	case 5: // mirrored and rotated left
		return remap(h, w, from(func(x, y int) (int, int) { return y, x }))
	case 6: // must be rotated right
		return remap(h, w, from(func(x, y int) (int, int) { return y, h - 1 - x }))
	case 7: // mirrored and rotated right
		return remap(h, w, from(func(x, y int) (int, int) { return w - 1 - y, h - 1 - x }))
	case 8: // must be rotated left
		return remap(h, w, from(func(x, y int) (int, int) { return w - 1 - y, x }))
	}
	return p
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
