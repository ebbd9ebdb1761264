package avatar

import (
	"encoding/binary"
	"image"
	"image/color"
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
