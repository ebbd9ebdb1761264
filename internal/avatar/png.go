package avatar

import (
	"encoding/binary"
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

// passes yields the sizes of the images that the data consists of: one, or up to seven for Adam7 (section 8).
func (h *pngHeader) passes() iter.Seq2[int64, int64] {
	return func(yield func(width, height int64) bool) {
		if !h.interlaced {
			yield(int64(h.width), int64(h.height))
			return
		}
		for _, p := range [...]struct{ x0, y0, dx, dy int }{
			{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2},
		} {
			width, height := (h.width-p.x0+p.dx-1)/p.dx, (h.height-p.y0+p.dy-1)/p.dy
			if width > 0 && height > 0 && !yield(int64(width), int64(height)) {
				return
			}
		}
	}
}

// memory returns the bytes that image/png allocates: the image, one more for each pass if it is interlaced, and two
// rows per pass.
func (h *pngHeader) memory() int64 {
	bytes := int64(pngMemory)
	if h.interlaced {
		bytes += int64(h.width) * int64(h.height) * h.bytesPerPixel()
	}
	for width, height := range h.passes() {
		bytes += width*height*h.bytesPerPixel() + 2*h.rowBytes(width)
	}
	return bytes
}

// work returns the time for the rows, without decompression.
func (h *pngHeader) work() (work time.Duration) {
	for width, height := range h.passes() {
		work += nanoseconds(height*h.rowBytes(width), pngRowByte) + nanoseconds(width*height, pngPixel)
	}
	return work
}

func (h *pngHeader) rowBytes(width int64) int64 { return 1 + (width*h.bitsPerPixel()+7)/8 }
