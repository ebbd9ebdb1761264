package avatar

import "slices"

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
	cache := 0
	if cacheBits > 0 {
		cache = 1 << cacheBits
	}
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
