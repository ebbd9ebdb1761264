package avatar

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
