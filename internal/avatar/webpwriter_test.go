package avatar

import (
	"encoding/binary"
	"testing"
)

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
