package avatar

import (
	"bytes"
	"encoding/binary"
)

// endsWithPicture tells whether a file ends where its picture does, zeros aside. A file that goes on is two things at once
// (a polyglot): a picture to one reader, an archive or a script to another.
func endsWithPicture(format string, file []byte) bool {
	end := 0
	switch format {
	case "jpeg":
		end = walkJPEG(file, func(byte, []byte) {})
	case "png":
		end = walkPNG(file, func(string, []byte) {})
	case "gif":
		end = gifEnd(file)
	case "webp":
		end = walkWebP(file, func(string, []byte) {})
	}
	return end > 0 && end <= len(file) && len(bytes.Trim(file[end:], "\x00")) == 0
}

// walkJPEG goes through the segments of a JPEG (ITU-T T.81, annex B) and returns where it ends, 0 where that cannot be told.
func walkJPEG(file []byte, visit func(marker byte, segment []byte)) (end int) {
	i := 2 // behind the start of the image
	for i+2 <= len(file) && file[i] == 0xff {
		marker := file[i+1]
		switch {
		case marker == 0xff: // fill
			i++
			continue
		case marker == 0xd9: // end of the image
			return i + 2
		case marker == 0x01, marker >= 0xd0 && marker <= 0xd8: // no segment
			i += 2
			continue
		}
		if i+4 > len(file) {
			return 0
		}
		next := i + 2 + int(binary.BigEndian.Uint16(file[i+2:]))
		if next < i+4 || next > len(file) {
			return 0
		}
		visit(marker, file[i+4:next])
		if i = next; marker == 0xda { // start of scan: compressed data follows
			i += scanLength(file[i:])
		}
	}
	return 0
}

// scanLength is the length of compressed data: up to a marker that is no restart and no stuffed byte.
func scanLength(data []byte) int {
	for i := 0; i+1 < len(data); i++ {
		if next := data[i+1]; data[i] == 0xff && next != 0 && next != 0xff && (next < 0xd0 || next > 0xd7) {
			return i
		}
	}
	return len(data)
}

// walkPNG goes through the chunks of a PNG (PNG specification, section 5.3) and returns where it ends, 0 where that cannot
// be told.
func walkPNG(file []byte, visit func(kind string, chunk []byte)) (end int) {
	const signature, frame = 8, 12 // a chunk has length, type and checksum around its data
	for i := signature; i+frame <= len(file); {
		next := uint64(i) + frame + uint64(binary.BigEndian.Uint32(file[i:]))
		if next > uint64(len(file)) {
			return 0
		}
		kind := string(file[i+4 : i+8])
		if kind == "IEND" {
			return int(next)
		}
		visit(kind, file[i+8:next-4])
		i = int(next)
	}
	return 0
}

// walkWebP goes through the chunks of a WebP (RFC 9649, section 2) and returns where its RIFF header says that it ends, 0
// where that cannot be.
func walkWebP(file []byte, visit func(kind string, chunk []byte)) (end int) {
	const header, frame = 12, 8
	if len(file) < header {
		return 0
	}
	size := uint64(binary.LittleEndian.Uint32(file[4:])) + 8
	if size > uint64(len(file)) {
		return 0
	}
	for rest := file[min(header, size):size]; len(rest) >= frame; {
		length := uint64(binary.LittleEndian.Uint32(rest[4:]))
		if length > uint64(len(rest)-frame) {
			return 0
		}
		visit(string(rest[:4]), rest[frame:frame+length])
		rest = rest[min(frame+length+length%2, uint64(len(rest))):] // chunks begin at even places
	}
	return int(size)
}

// gifEnd is where a GIF's trailer ends (GIF89a specification, section 27).
func gifEnd(file []byte) int {
	const header = 13
	if len(file) < header {
		return 0
	}
	i := header + colourTable(file[10])
	for i < len(file) {
		switch file[i] {
		case 0x3b: // trailer
			return i + 1
		case 0x21: // extension: label, then blocks
			i += 2
		case 0x2c: // image: descriptor, colour table, code size, then blocks
			if i+10 > len(file) {
				return 0
			}
			i += 10 + colourTable(file[i+9]) + 1
		default:
			return 0
		}
		for i < len(file) && file[i] != 0 {
			i += 1 + int(file[i])
		}
		i++ // the empty block
	}
	return 0
}

// colourTable is the length of the table that a packed field of flags announces.
func colourTable(flags byte) int {
	if flags&0x80 == 0 {
		return 0
	}
	return 3 << (flags&7 + 1)
}
