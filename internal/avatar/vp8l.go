package avatar

import "slices"

// How much golang.org/x/image/vp8l allocates for a lossless WebP depends on the compressed data, not on the header: the
// pixels are preceded by tiles for up to two transforms, a palette and up to 2600 groups of Huffman codes. This file
// reads up to the pixels (RFC 9649, section 3) and adds up the decoder's allocations. The values of the tiles do not
// matter, except those that are numbers of groups.

const (
	vp8lHeader    = 5
	vp8lMaxGroups = 2600 // the decoder rejects more
)

// vp8lReader reads the data after the header. If it reads past the end, it returns zeros and sets failed.
type vp8lReader struct {
	data   []byte
	at     int // in bits
	failed bool
	memory int64

	codes      [5]vp8lCode
	lengthCode vp8lCode
	scratch    [vp8lAlphabet]uint8
}

// vp8lMemory returns the bytes that decoding allocates.
func vp8lMemory(data []byte, width, height int) (int64, error) {
	r := &vp8lReader{data: data, memory: webpMemory}
	packed := r.transforms(width, height)
	cacheBits := r.cache()
	r.groups(packed, height, cacheBits)
	r.memory += 4 * int64(packed) * int64(height)
	if packed != width { // unpacked into a second image
		r.memory += 4 * int64(width) * int64(height)
	}
	if r.failed {
		return 0, ErrPicture
	}
	return r.memory, nil
}

// transforms reads the transforms (section 4) and returns the width of the remaining image.
func (r *vp8lReader) transforms(width, height int) (packed int) {
	const (
		predictor    = 0
		crossColour  = 1
		colourTables = 3
	)
	packed = width
	for seen := 0; r.bits(1) == 1 && !r.failed; {
		kind := r.bits(2)
		r.failed = r.failed || seen&(1<<kind) != 0
		seen |= 1 << kind
		switch kind {
		case predictor, crossColour:
			side := 2 + r.bits(3)
			r.image(tiles(packed, side), tiles(height, side), func(int) {})
		case colourTables:
			colours := r.bits(8) + 1
			r.image(colours, 1, func(int) {})
			r.memory += 4 * 256
			packed = tiles(packed, packing(colours))
		}
	}
	return packed
}

// packing returns the binary logarithm of how many pixels are packed into one, for a palette of this size (section
// 4.4).
func packing(colours int) int {
	switch {
	case colours <= 2:
		return 3
	case colours <= 4:
		return 2
	case colours <= 16:
		return 1
	}
	return 0
}

// tiles returns how many tiles of 1<<side pixels cover n pixels.
func tiles(n, side int) int { return (n + 1<<side - 1) >> side }

// cache reads the size of the colour cache (section 5.2.3).
func (r *vp8lReader) cache() (bits int) {
	if r.bits(1) == 0 {
		return 0
	}
	bits = r.bits(4)
	r.failed = r.failed || bits < 1 || bits > 11
	r.allocate(4 << bits)
	return bits
}

// image reads an image of tiles or of colours, and calls number with each pixel's group number. Copied pixels are
// skipped, because their numbers have occurred already.
func (r *vp8lReader) image(width, height int, number func(int)) {
	const lengths, literals = 24, 256
	r.group(r.cache(), true)
	r.allocate(vp8lGroup)
	r.allocate(4 * int64(width) * int64(height))
	for left := width * height; left > 0 && !r.failed; {
		switch green := r.symbol(&r.codes[0]); {
		case green < literals:
			red := r.symbol(&r.codes[1])
			r.symbol(&r.codes[2])
			r.symbol(&r.codes[3])
			number(red<<8 | green)
			left--
		case green < literals+lengths:
			left -= r.parameter(green - literals)
			r.parameter(r.symbol(&r.codes[4])) // the distance
		default:
			left-- // a colour of the cache
		}
	}
}

// parameter reads a length or a distance (section 5.2.2).
func (r *vp8lReader) parameter(symbol int) int {
	if symbol < 4 {
		return symbol + 1
	}
	extra := (symbol - 2) >> 1
	return (2+symbol&1)<<extra + r.bits(extra) + 1
}

// groups reads the Huffman codes of the pixels (section 6.2): one group, or several and an image that maps tiles to
// groups.
func (r *vp8lReader) groups(width, height, cacheBits int) {
	used := make([]bool, vp8lMaxGroups)
	used[0] = true // the number of a cache entry that was never set is 0
	last, grid := 0, 1
	if r.bits(1) == 1 {
		side := 2 + r.bits(3)
		grid = tiles(width, side) * tiles(height, side)
		r.image(tiles(width, side), tiles(height, side), func(n int) {
			if r.failed = r.failed || n >= vp8lMaxGroups; !r.failed {
				used[n], last = true, max(last, n)
			}
		})
	}
	sparse := last >= 1000 || last >= grid // the decoder keeps only used groups
	for n := 0; n <= last && !r.failed; n++ {
		keep := used[n] || !sparse
		if r.group(cacheBits, keep); keep {
			r.memory += vp8lGroup
		}
	}
	r.allocate(2 * int64(last+1))
}

// vp8lCode is a canonical Huffman code.
type vp8lCode struct {
	count   [16]int  // of symbols by length
	symbols []uint16 // sorted by length, then by value
}

// vp8lAlphabet is the size of the largest alphabet: literals, lengths and the largest colour cache.
const vp8lAlphabet = 256 + 24 + 1<<11

// vp8lGroup is the size of a group of codes in the decoder, in bytes: five look-up tables, without the trees they point
// to.
const vp8lGroup = 5 * (24 + 4*128)

// group reads the codes for green, red, blue, alpha and distances into r.codes (RFC 9649, section 6.2). The decoder
// reads groups that it does not keep, too.
func (r *vp8lReader) group(cacheBits int, keep bool) {
	cache := 1 << cacheBits &^ 1 // colours; none if there are 0 bits
	for i, alphabet := range [...]int{256 + 24 + cache, 256, 256, 256, 40} {
		if r.failed {
			return
		}
		r.code(&r.codes[i], alphabet)
		if keep {
			r.allocateTree(&r.codes[i], alphabet)
		}
	}
}

// allocateTree adds the decoder's tree of a code, and a table for building it.
func (r *vp8lReader) allocateTree(c *vp8lCode, alphabet int) {
	const node, code = 8, 4
	r.allocate(node * int64(2*len(c.symbols)-1))
	r.allocate(code * int64(alphabet))
}

// allocate adds an object of the decoder, rounded up like the allocator does.
func (r *vp8lReader) allocate(bytes int64) { r.memory += bytes + bytes/8 + 16 }

// code reads one code: one or two symbols verbatim, or the lengths of all symbols, which are themselves coded.
func (r *vp8lReader) code(c *vp8lCode, alphabet int) {
	if r.bits(1) == 1 {
		two := r.bits(1) == 1
		c.symbols = append(c.symbols[:0], uint16(r.bits(1+7*r.bits(1))))
		if two {
			c.symbols = append(c.symbols, uint16(r.bits(8)))
		}
		c.count = [16]int{1: len(c.symbols)}
		return
	}
	var lengths [19]uint8
	order := [...]int{17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	for _, symbol := range order[:4+r.bits(4)] {
		lengths[symbol] = uint8(r.bits(3))
	}
	r.build(&r.lengthCode, lengths[:])
	r.allocateTree(&r.lengthCode, len(lengths))
	r.allocate(4 * int64(alphabet)) // the lengths
	if !r.failed {
		r.build(c, r.lengths(alphabet))
	}
}

// lengths reads the lengths of a code's symbols.
func (r *vp8lReader) lengths(alphabet int) []uint8 {
	left := alphabet // symbols to read
	if r.bits(1) == 1 {
		left = 2 + r.bits(2+2*r.bits(3))
	}
	lengths := r.scratch[:0]
	for previous := uint8(8); left > 0 && len(lengths) < alphabet && !r.failed; left-- {
		length, times := uint8(0), 1
		switch symbol := r.symbol(&r.lengthCode); symbol {
		case 16:
			length, times = previous, 3+r.bits(2)
		case 17:
			times = 3 + r.bits(3)
		case 18:
			times = 11 + r.bits(7)
		default:
			if length = uint8(symbol); length != 0 {
				previous = length
			}
		}
		r.failed = r.failed || len(lengths)+times > alphabet
		for i := 0; i < times && !r.failed; i++ {
			lengths = append(lengths, length)
		}
	}
	return lengths
}

// build builds a code from the lengths of its symbols.
func (r *vp8lReader) build(c *vp8lCode, lengths []uint8) {
	c.count = [16]int{}
	for _, length := range lengths {
		c.count[length]++
	}
	c.count[0] = 0
	var next [17]int // index of the next symbol, by length
	for length, n := range c.count {
		next[length+1] = next[length] + n
	}
	c.symbols = slices.Grow(c.symbols[:0], next[16])[:next[16]]
	for symbol, length := range lengths {
		if length > 0 {
			c.symbols[next[length]] = uint16(symbol)
			next[length]++
		}
	}
	r.failed = r.failed || len(c.symbols) == 0
}

// symbol reads a symbol. A code of one symbol takes no bits.
func (r *vp8lReader) symbol(c *vp8lCode) int {
	if len(c.symbols) == 1 {
		return int(c.symbols[0])
	}
	code, first, index := 0, 0, 0
	for length := 1; length < len(c.count); length++ {
		code |= r.bits(1)
		count := c.count[length]
		if code-count < first {
			return int(c.symbols[index+code-first])
		}
		index, first, code = index+count, (first+count)<<1, code<<1
	}
	r.failed = true
	return 0
}

// bits reads an unsigned number of n bits, the lowest bit first.
func (r *vp8lReader) bits(n int) (v int) {
	if r.at+n > 8*len(r.data) {
		r.failed = true
		return 0
	}
	for i := range n {
		v |= int(r.data[r.at>>3]>>(r.at&7)&1) << i
		r.at++
	}
	return v
}
