package avatar

import (
	"bytes"
	"encoding/binary"
	"image/gif"
	"iter"
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
			h.addCosts(&plan)
			plan.Work += nanoseconds(data, pngDataByte) + nanoseconds(len(file), pngFileByte)
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

// addCosts adds what image/png takes: memory for the image and two rows, and for an interlaced picture once more an image
// and the rows of its seven passes (Adam7, section 8), the widest of which are as wide as the picture.
func (h *pngHeader) addCosts(plan *Plan) {
	image, rows := plan.framePixels()*h.bytesPerPixel(), 2*h.rowBytes()
	if h.interlaced {
		image, rows = 2*image, 4*rows
	}
	plan.Memory = pngMemory + image + rows
	plan.Work = nanoseconds(int64(h.height)*h.rowBytes(), pngRowByte) + nanoseconds(plan.framePixels(), pngPixel)
}

// rowBytes returns the size of a decompressed row.
func (h *pngHeader) rowBytes() int64 {
	channels := map[byte]int64{pngGrey: 1, pngRGB: 3, pngPalette: 1, pngGreyAlpha: 2, pngRGBA: 4}[h.colour]
	return 1 + (int64(h.width)*channels*int64(h.depth)+7)/8
}

// inspectGIF reads the header of a GIF. Its first picture is at most as large as the screen.
func inspectGIF(file []byte) (Plan, error) {
	screen, err := gif.DecodeConfig(bytes.NewReader(file))
	if err != nil {
		return Plan{}, ErrPicture
	}
	plan, err := newPlan(screen.Width, screen.Height)
	plan.Memory = gifMemory + 2*plan.framePixels() // image/gif sorts the rows of an interlaced picture into a second image
	plan.Work = nanoseconds(plan.framePixels(), gifPixel) + nanoseconds(len(file), gifByte)
	return plan, err
}
