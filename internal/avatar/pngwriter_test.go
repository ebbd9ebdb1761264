package avatar

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
)

// pngSpec describes a PNG for pngFile. All of its pixels have the same bits.
type pngSpec struct {
	pngHeader
	filter byte // of every row (PNG specification, section 9)
	value  byte // of every byte of a row
	empty  bool // no rows
}

func pngFile(spec pngSpec) []byte {
	var data bytes.Buffer
	z, _ := zlib.NewWriterLevel(&data, zlib.BestSpeed)
	for width, height := range spec.passes() {
		if spec.empty {
			break
		}
		row := bytes.Repeat([]byte{spec.value}, int(spec.rowBytes(width)))
		row[0] = spec.filter
		for range height {
			z.Write(row)
		}
	}
	z.Close()
	header := binary.BigEndian.AppendUint32(nil, uint32(spec.width))
	header = binary.BigEndian.AppendUint32(header, uint32(spec.height))
	header = append(header, spec.depth, spec.colour, 0, 0, 0)
	if spec.interlaced {
		header[12] = 1
	}
	out := pngChunk([]byte(pngSignature), "IHDR", header)
	if spec.colour == pngPalette {
		out = pngChunk(out, "PLTE", make([]byte, 3<<spec.depth))
	}
	if spec.transparent {
		out = pngChunk(out, "tRNS", make([]byte, map[byte]int{pngGrey: 2, pngRGB: 6, pngPalette: 1}[spec.colour]))
	}
	return pngChunk(pngChunk(out, "IDAT", data.Bytes()), "IEND", nil)
}

// pngChunk appends a chunk to out.
func pngChunk(out []byte, kind string, data []byte) []byte {
	out = binary.BigEndian.AppendUint32(out, uint32(len(data)))
	start := len(out)
	out = append(append(out, kind...), data...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[start:]))
}
