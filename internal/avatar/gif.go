package avatar

import (
	"encoding/binary"
	"image"
)

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
