package avatar

import (
	"encoding/binary"
	"image"
	"iter"
	"time"
)

const pngSignature = "\x89PNG\r\n\x1a\n"

// pngChunks yields the chunks of a PNG (PNG specification, section 5.3), IEND as the last. If the file is cut off,
// there is no IEND.
func pngChunks(file []byte) iter.Seq2[string, []byte] {
	return func(yield func(kind string, chunk []byte) bool) {
		const frame = 12 // length, type and checksum around the data
		for rest := file[min(len(pngSignature), len(file)):]; len(rest) >= frame; {
			end := uint64(binary.BigEndian.Uint32(rest)) + frame
			if end > uint64(len(rest)) {
				return
			}
			kind := string(rest[4:8])
			if !yield(kind, rest[8:end-4]) || kind == "IEND" {
				return
			}
			rest = rest[end:]
		}
	}
}

// pngHeader is the first chunk of a PNG (section 11.2.1).
type pngHeader struct {
	width, height int
	depth, colour byte
	interlaced    bool
	transparent   bool // has a tRNS chunk
}

func inspectPNG(file []byte) (Plan, error) {
	var h pngHeader
	var plan Plan
	data := 0
	for kind, chunk := range pngChunks(file) {
		switch kind {
		case "IHDR":
			var err error
			if plan, err = h.readIHDR(chunk); err != nil {
				return Plan{}, err
			}
		case "tRNS":
			h.transparent = true
		case "IDAT":
			data += len(chunk)
		case "IEND":
			if plan.frame.Empty() || data == 0 {
				return Plan{}, ErrPicture
			}
			plan.Memory = h.memory()
			plan.Work = h.work() + nanoseconds(data, pngDataByte) + nanoseconds(len(file), pngFileByte)
			return plan, nil
		}
	}
	return Plan{}, ErrPicture
}

func (h *pngHeader) readIHDR(chunk []byte) (Plan, error) {
	if len(chunk) != 13 || h.width != 0 {
		return Plan{}, ErrPicture
	}
	width, height := binary.BigEndian.Uint32(chunk), binary.BigEndian.Uint32(chunk[4:])
	if width == 0 || height == 0 || width >= 1<<31 || height >= 1<<31 {
		return Plan{}, ErrPicture
	}
	*h = pngHeader{width: int(width), height: int(height), depth: chunk[8], colour: chunk[9], interlaced: chunk[12] != 0}
	return newPlan(h.width, h.height)
}

// Colour types of a PNG.
const (
	pngGrey      = 0
	pngRGB       = 2
	pngPalette   = 3
	pngGreyAlpha = 4
	pngRGBA      = 6
)

// bitsPerPixel returns the size of a pixel in the decompressed data.
func (h *pngHeader) bitsPerPixel() int64 {
	channels := map[byte]int64{pngGrey: 1, pngRGB: 3, pngPalette: 1, pngGreyAlpha: 2, pngRGBA: 4}[h.colour]
	return channels * int64(h.depth)
}

// bytesPerPixel returns the size of a pixel in image/png's image.
func (h *pngHeader) bytesPerPixel() int64 {
	channels := int64(4)
	if h.colour == pngPalette || h.colour == pngGrey && !h.transparent {
		channels = 1
	}
	if h.depth == 16 {
		return 2 * channels
	}
	return channels
}

// memory returns the bytes that image/png allocates: the image and two rows, and for an interlaced picture once more an
// image and the rows of its seven passes (Adam7, section 8), the widest of which are as wide as the picture.
func (h *pngHeader) memory() int64 {
	image := int64(h.width) * int64(h.height) * h.bytesPerPixel()
	if h.interlaced {
		return pngMemory + 2*image + 2*4*h.rowBytes()
	}
	return pngMemory + image + 2*h.rowBytes()
}

// work returns the time for the rows, without decompression.
func (h *pngHeader) work() time.Duration {
	return nanoseconds(int64(h.height)*h.rowBytes(), pngRowByte) + nanoseconds(int64(h.width)*int64(h.height), pngPixel)
}

// rowBytes returns the size of a decompressed row.
func (h *pngHeader) rowBytes() int64 { return 1 + (int64(h.width)*h.bitsPerPixel()+7)/8 }

// inspectGIF reads a GIF (GIF89a specification) up to its first picture. Make does not read the rest either.
func inspectGIF(file []byte) (Plan, error) {
	const header = 13
	if len(file) < header {
		return Plan{}, ErrPicture
	}
	descriptor := firstGIFPicture(file[header:], file[10])
	if descriptor == nil {
		return Plan{}, ErrPicture
	}
	u16 := func(b []byte) int { return int(binary.LittleEndian.Uint16(b)) }
	left, top := u16(descriptor), u16(descriptor[2:])
	frame := image.Rect(left, top, left+u16(descriptor[4:]), top+u16(descriptor[6:]))
	plan, err := newPlanWithFrame(u16(file[6:]), u16(file[8:]), frame)
	if err != nil {
		return Plan{}, err
	}
	plan.Memory = gifMemory + plan.framePixels()
	plan.Work = nanoseconds(plan.framePixels(), gifPixel) + nanoseconds(len(file), gifByte)
	if interlaced := descriptor[8]&0x40 != 0; interlaced {
		plan.Memory += plan.framePixels() // image/gif sorts the rows into a second image
	}
	return plan, nil
}

// firstGIFPicture returns the image descriptor (section 20) of the first picture, or nil. rest is the file after its
// header.
func firstGIFPicture(rest []byte, flags byte) []byte {
	const descriptor = 9
	for rest = skip(rest, colourTable(flags)); len(rest) > descriptor; {
		switch rest[0] {
		case 0x2c: // picture
			return rest[1 : 1+descriptor]
		case 0x21: // extension: label, then blocks
			rest = skipBlocks(rest[2:])
		default:
			return nil
		}
	}
	return nil
}

// skipBlocks skips data sub-blocks up to and including the empty one.
func skipBlocks(rest []byte) []byte {
	for len(rest) > 0 && rest[0] != 0 {
		rest = skip(rest, 1+int(rest[0]))
	}
	return skip(rest, 1)
}

func skip(rest []byte, n int) []byte { return rest[min(n, len(rest)):] }

// colourTable returns the length of the colour table that a packed field announces, in bytes.
func colourTable(flags byte) int {
	if flags&0x80 == 0 {
		return 0
	}
	return 3 << (flags&7 + 1)
}
