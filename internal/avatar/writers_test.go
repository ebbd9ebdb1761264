package avatar

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"testing"
)

// jpegScanSpec describes a scan of a progressive JPEG: its components, band of coefficients and bits (successive
// approximation).
type jpegScanSpec struct {
	components  []int
	first, last int
	high, low   int
}

// jpegSpec describes a progressive JPEG.
type jpegSpec struct {
	width, height int
	sampling      []byte // of each component: the horizontal and vertical factor in one nibble each
	scans         []jpegScanSpec
	segments      []byte // before the frame
	cutScans      bool   // no data after the headers of the scans
}

// libjpegScans are the scans that libjpeg writes by default.
var libjpegScans = []jpegScanSpec{
	{components: []int{0, 1, 2}, low: 1},
	{components: []int{0}, first: 1, last: 5, low: 2},
	{components: []int{2}, first: 1, last: 63, low: 1},
	{components: []int{1}, first: 1, last: 63, low: 1},
	{components: []int{0}, first: 6, last: 63, low: 2},
	{components: []int{0}, first: 1, last: 63, high: 2, low: 1},
	{components: []int{0, 1, 2}, high: 1},
	{components: []int{2}, first: 1, last: 63, high: 1},
	{components: []int{1}, first: 1, last: 63, high: 1},
	{components: []int{0}, first: 1, last: 63, high: 1},
}

// photoSpec describes a progressive JPEG as libjpeg writes it.
func photoSpec(w, h int) jpegSpec {
	return jpegSpec{width: w, height: h, sampling: []byte{0x22, 0x11, 0x11}, scans: libjpegScans}
}

// grey is a uniform picture of infinite size.
var grey = image.NewUniform(color.Gray{Y: 99})

// encode encodes a picture. Every block gets the colour of the pixel in its middle.
func (spec jpegSpec) encode(picture image.Image) []byte {
	out := append([]byte{0xff, 0xd8}, spec.segments...)
	segment := func(marker byte, data []byte) {
		out = binary.BigEndian.AppendUint16(append(out, 0xff, marker), uint16(len(data)+2))
		out = append(out, data...)
	}
	quant := make([]byte, 65)
	for i := range quant[1:] {
		quant[1+i] = 8 // the first coefficient is eight times the mean
	}
	segment(0xdb, quant)
	frame := []byte{8, byte(spec.height >> 8), byte(spec.height), byte(spec.width >> 8), byte(spec.width), byte(len(spec.sampling))}
	for i, hv := range spec.sampling {
		frame = append(frame, byte(i+1), hv, 0)
	}
	segment(markerSOF2, frame)
	// DC: the sizes 0 to 11, four bits each. AC: the symbols for runs of 1, 2, 4 … 16384 empty blocks, five bits each.
	dc := append([]byte{0x00, 3: 0, 4: 12, 16: 0}, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
	ac := []byte{0x10, 5: 15, 16: 0}
	for n := range 15 {
		ac = append(ac, byte(n<<4))
	}
	segment(markerDHT, append(dc, ac...))
	for _, s := range spec.scans {
		header := []byte{byte(len(s.components))}
		for _, c := range s.components {
			header = append(header, byte(c+1), 0)
		}
		segment(markerSOS, append(header, byte(s.first), byte(s.last), byte(s.high<<4|s.low)))
		if !spec.cutScans {
			w := &jpegBits{}
			spec.write(w, s, picture)
			out = append(out, w.flush()...)
		}
	}
	return append(out, 0xff, markerEOI)
}

// write writes the data of a scan.
func (spec jpegSpec) write(w *jpegBits, s jpegScanSpec, picture image.Image) {
	maxH, maxV := 1, 1
	for _, hv := range spec.sampling {
		maxH, maxV = max(maxH, int(hv>>4)), max(maxV, int(hv&15))
	}
	if s.first > 0 {
		c := spec.sampling[s.components[0]]
		across, down := blocksOf(spec.width, maxH, int(c>>4)), blocksOf(spec.height, maxV, int(c&15))
		for left := across * down; left > 0; {
			n := 14
			for 1<<n > left {
				n--
			}
			w.put(n, 5)
			w.put(0, n)
			left -= 1 << n
		}
		return
	}
	var before [4]int
	for my := range blocksOf(spec.height, maxV, 1) {
		for mx := range blocksOf(spec.width, maxH, 1) {
			for _, c := range s.components {
				h, v := int(spec.sampling[c]>>4), int(spec.sampling[c]&15)
				for i := range h * v {
					x, y := (mx*h+i%h)*8*maxH/h+4*maxH/h, (my*v+i/h)*8*maxV/v+4*maxV/v
					level := sampleOf(picture.At(min(x, spec.width-1), min(y, spec.height-1)), c) - 128
					if s.high > 0 {
						w.put(level>>s.low&1, 1)
						continue
					}
					level >>= s.low
					w.putDifference(level - before[c])
					before[c] = level
				}
			}
		}
	}
}

func blocksOf(pixels, most, factor int) int { return (pixels*factor + 8*most - 1) / (8 * most) }

func sampleOf(c color.Color, component int) int {
	ycbcr := color.YCbCrModel.Convert(c).(color.YCbCr)
	return int([...]uint8{ycbcr.Y, ycbcr.Cb, ycbcr.Cr, 255}[component])
}

// jpegBits writes the bits of a scan.
type jpegBits struct {
	out  []byte
	bits uint32
	n    int
}

func (w *jpegBits) put(v, n int) {
	w.bits, w.n = w.bits<<n|uint32(v)&(1<<n-1), w.n+n
	for ; w.n >= 8; w.n -= 8 {
		b := byte(w.bits >> (w.n - 8))
		if w.out = append(w.out, b); b == 0xff {
			w.out = append(w.out, 0)
		}
	}
}

// putDifference writes a difference of DC coefficients: its number of bits, then the bits.
func (w *jpegBits) putDifference(d int) {
	size := 0
	for a := max(d, -d); a > 0; a >>= 1 {
		size++
	}
	if w.put(size, 4); d < 0 {
		d += 1<<size - 1
	}
	w.put(d, size)
}

func (w *jpegBits) flush() []byte {
	if w.n > 0 {
		w.put(0x7f, 8-w.n)
	}
	return w.out
}

// pngSpec describes a PNG for pngFile. All of its pixels have the same bits.
type pngSpec struct {
	pngHeader
	filter byte // of every row (PNG specification, section 9)
	value  byte // of every byte of a row
	empty  bool // no rows
}

// passes returns the sizes of the images that the data consists of: one, or up to seven for Adam7 (section 8).
func (spec pngSpec) passes() (sizes []image.Point) {
	switch {
	case spec.empty:
		return nil
	case !spec.interlaced:
		return []image.Point{{spec.width, spec.height}}
	}
	for _, p := range [...]struct{ x0, y0, dx, dy int }{
		{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2},
	} {
		width, height := (spec.width-p.x0+p.dx-1)/p.dx, (spec.height-p.y0+p.dy-1)/p.dy
		if width > 0 && height > 0 {
			sizes = append(sizes, image.Pt(width, height))
		}
	}
	return sizes
}

func pngFile(spec pngSpec) []byte {
	var data bytes.Buffer
	z, _ := zlib.NewWriterLevel(&data, zlib.BestSpeed)
	for _, size := range spec.passes() {
		pass := pngHeader{width: size.X, depth: spec.depth, colour: spec.colour}
		row := bytes.Repeat([]byte{spec.value}, int(pass.rowBytes()))
		row[0] = spec.filter
		for range size.Y {
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

// webpFile returns a WebP with these chunks.
func webpFile(chunks ...[]byte) []byte {
	out := []byte("RIFF\x00\x00\x00\x00WEBP")
	for _, c := range chunks {
		out = append(out, c...)
	}
	binary.LittleEndian.PutUint32(out[4:], uint32(len(out)-8))
	return out
}

func webpChunk(kind string, data ...byte) []byte {
	out := append(binary.LittleEndian.AppendUint32([]byte(kind), uint32(len(data))), data...)
	return append(out, make([]byte, len(data)%2)...)
}

// webpCanvas returns the header of an extended WebP.
func webpCanvas(flags byte, w, h int) []byte {
	return webpChunk("VP8X", append(append([]byte{flags, 0, 0, 0}, le24(w-1)...), le24(h-1)...)...)
}

// webpFrame returns a frame of an animation at an even position of the canvas.
func webpFrame(x, y, w, h int, chunks []byte) []byte {
	var data []byte
	for _, n := range []int{x / 2, y / 2, w - 1, h - 1, 100} {
		data = append(data, le24(n)...)
	}
	return webpChunk("ANMF", append(append(data, 0), chunks...)...)
}

func le24(n int) []byte { return []byte{byte(n), byte(n >> 8), byte(n >> 16)} }

// alphaChunk returns an uncompressed alpha channel of w x h pixels whose left half is transparent.
func alphaChunk(w, h int) []byte {
	data := []byte{0}
	for i := range w * h {
		data = append(data, map[bool]byte{true: 0, false: 255}[i%w < w/2])
	}
	return webpChunk("ALPH", data...)
}

// chunksOf returns the chunks of a sample.
func chunksOf(t testing.TB, name string) []byte {
	t.Helper()
	return readSample(t, name)[12:]
}

// vp8lBits writes bits in VP8L's order: the lowest first.
type vp8lBits struct {
	out []byte
	n   int
}

func (w *vp8lBits) put(v, n int) {
	for i := range n {
		if w.n%8 == 0 {
			w.out = append(w.out, 0)
		}
		w.out[len(w.out)-1] |= byte(v>>i&1) << (w.n % 8)
		w.n++
	}
}

// putSingle writes a code of one symbol.
func (w *vp8lBits) putSingle(symbol int) {
	w.put(0b101, 3) // simple code, one symbol, eight bits
	w.put(symbol, 8)
}

// putFlat writes a code of 1<<length symbols that all have this length, for an alphabet of the given size.
func (w *vp8lBits) putFlat(length, alphabet int) {
	// Symbols of the code for the lengths: repeat has 1 bit, zero and length have 2.
	w.put(0, 1)
	w.put(15, 4)
	for _, symbol := range []int{17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15} {
		w.put(map[int]int{16: 1, 0: 2, length: 2}[symbol], 3)
	}
	w.put(0, 1)
	const repeat = 0b0
	zero, same := 0b01, 0b11 // the lowest bit is the first one
	symbols := 1 << length
	w.put(same, 2)
	for left := symbols - 1; left > 0; {
		if left < 3 {
			w.put(same, 2)
			left--
			continue
		}
		n := min(left, 6)
		w.put(repeat, 1)
		w.put(n-3, 2)
		left -= n
	}
	for range alphabet - symbols {
		w.put(zero, 2)
	}
}

// vp8lGroups returns the data of a lossless picture with this many groups of large codes. Its tiles use all of them, or
// only the last.
func vp8lGroups(w, h, groups int, usedAll bool) []byte {
	b := &vp8lBits{}
	b.put(0x2f, 8)
	b.put(w-1, 14)
	b.put(h-1, 14)
	b.put(0, 4)  // no alpha, version 0
	b.put(0, 1)  // no transform
	b.put(1, 1)  // a colour cache
	b.put(11, 4) // of 2048 colours
	b.put(1, 1)  // several groups
	b.put(0, 3)  // by tiles of 4 x 4 pixels
	b.put(0, 1)  // no colour cache for the tiles
	last := groups - 1
	if usedAll {
		b.putFlat(8, 256+24)
		b.putFlat(4, 256)
	} else {
		b.putSingle(last & 255)
		b.putSingle(last >> 8)
	}
	for range 3 {
		b.putSingle(0)
	}
	if usedAll {
		for i := range tiles(w, 2) * tiles(h, 2) {
			group := i % groups
			for bit := range 8 {
				b.put(group>>(7-bit), 1)
			}
			for bit := range 4 {
				b.put(group>>8>>(3-bit), 1)
			}
		}
	}
	for range groups {
		b.putFlat(11, 256+24+2048)
		for range 3 {
			b.putFlat(8, 256)
		}
		b.putFlat(5, 40)
	}
	return append(b.out, make([]byte, 5*w*h)...) // the first symbol of each code
}
