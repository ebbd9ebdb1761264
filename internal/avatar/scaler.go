package avatar

import (
	"image"
	"math"
)

// scaler scales down a picture that arrives row by row, in the form of image.RGBA. It first averages squares of pixels,
// such that the result is still at least twice as large as the target, and then filters by Catmull-Rom: hardly
// distinguishable from filtering alone, in a fraction of the time. It keeps a few rows only; golang.org/x/image/draw
// takes 64 MiB for 16 million pixels.
type scaler struct {
	small *image.NRGBA
	width int // of the source
	left  int // source rows still to come
	side  int // of a square, in pixels

	sums    []uint32  // of the current row of squares
	rows    int       // source rows in sums
	average []float32 // of each square in the row
	row     int       // index of the current row of squares

	across  []taps // for each column of small: weights of squares
	down    []taps // for each row of small: weights of rows of squares
	line    []float32
	pending [][]float32 // incomplete rows of small, by index modulo len(pending)
	first   int         // index of the first incomplete row of small
}

// taps are the weights of consecutive samples.
type taps struct {
	first   int
	weights []float32
}

func (t taps) end() int { return t.first + len(t.weights) }

// newScaler returns a scaler from w x h pixels to the size of small.
func newScaler(small *image.NRGBA, w, h int) *scaler {
	side := squareSide(w, h)
	s := &scaler{
		small: small, width: w, left: h, side: side,
		sums:    make([]uint32, 4*squares(w, side)),
		average: make([]float32, 4*squares(w, side)),
		across:  catmullRom(small.Rect.Dx(), w, side),
		down:    catmullRom(small.Rect.Dy(), h, side),
		line:    make([]float32, 4*small.Rect.Dx()),
	}
	s.pending = make([][]float32, overlap(s.down))
	for i := range s.pending {
		s.pending[i] = make([]float32, len(s.line))
	}
	return s
}

// scalerMemory returns the bytes that newScaler allocates for a picture of w x h pixels.
func scalerMemory(w, h int) int64 {
	smallW, smallH := thumbnailSize(w, h)
	side := squareSide(w, h)
	const tapBytes = 32
	weights := 4 * (4*squares(w, side) + 4*squares(h, side) + 8*(smallW+smallH))
	rows := 16 * (2*squares(w, side) + 8*smallW)
	return int64(weights + rows + tapBytes*(smallW+smallH))
}

// squareSide returns the side of the squares to average, in pixels.
func squareSide(w, h int) int { return max(1, max(w, h)/(2*MaxSide)) }

// squares returns how many squares cover n pixels.
func squares(n, side int) int { return (n + side - 1) / side }

// catmullRom returns the taps of size samples, made of n pixels in squares. The kernel is stretched by the scaling
// factor.
func catmullRom(size, n, side int) []taps {
	scale := float64(n) / float64(side) / float64(size)
	stretch := max(1, scale)
	all := make([]taps, size)
	for i := range all {
		centre := (float64(i)+0.5)*scale - 0.5
		first := max(0, int(math.Ceil(centre-2*stretch)))
		end := min(squares(n, side), int(math.Floor(centre+2*stretch))+1)
		all[i] = taps{first: first, weights: make([]float32, end-first)}
		sum := 0.0
		for j := range all[i].weights {
			sum += catmullRomAt((float64(first+j) - centre) / stretch)
		}
		for j := range all[i].weights {
			all[i].weights[j] = float32(catmullRomAt((float64(first+j)-centre)/stretch) / sum)
		}
	}
	return all
}

// catmullRomAt is the kernel: the cubic filter with B = 0 and C = 1/2.
func catmullRomAt(x float64) float64 {
	switch x = math.Abs(x); {
	case x < 1:
		return (1.5*x-2.5)*x*x + 1
	case x < 2:
		return ((-0.5*x+2.5)*x-4)*x + 2
	}
	return 0
}

// overlap returns the maximum number of rows that are incomplete at the same time.
func overlap(down []taps) (most int) {
	for i := range down {
		n := 1
		for i+n < len(down) && down[i+n].first < down[i].end() {
			n++
		}
		most = max(most, n)
	}
	return most
}

// add processes the next row of the source: four bytes per pixel, premultiplied by alpha.
func (s *scaler) add(row []uint8) {
	for i := 0; len(row) > 0; i += 4 {
		square := row[:min(4*s.side, len(row))]
		row = row[len(square):]
		var r, g, b, a uint32
		for len(square) >= 4 {
			r, g, b, a = r+uint32(square[0]), g+uint32(square[1]), b+uint32(square[2]), a+uint32(square[3])
			square = square[4:]
		}
		sums := s.sums[i : i+4 : i+4]
		sums[0], sums[1], sums[2], sums[3] = sums[0]+r, sums[1]+g, sums[2]+b, sums[3]+a
	}
	s.rows++
	if s.left--; s.rows == s.side || s.left == 0 {
		s.endRow()
	}
}

// endRow processes a complete row of squares.
func (s *scaler) endRow() {
	for i, sum := range s.sums {
		columns := min(s.side, s.width-i/4*s.side)
		s.average[i] = float32(sum) / float32(columns*s.rows)
	}
	clear(s.sums)
	s.rows = 0
	s.filterAcross()
	s.filterDown()
	s.row++
}

// filterAcross filters the averages horizontally into line.
func (s *scaler) filterAcross() {
	for x, t := range s.across {
		samples := s.average[4*t.first : 4*t.end()]
		var r, g, b, a float32
		for _, weight := range t.weights {
			r, g, b, a = r+weight*samples[0], g+weight*samples[1], b+weight*samples[2], a+weight*samples[3]
			samples = samples[4:]
		}
		line := s.line[4*x : 4*x+4 : 4*x+4]
		line[0], line[1], line[2], line[3] = r, g, b, a
	}
}

// filterDown adds line to the rows of small that it contributes to.
func (s *scaler) filterDown() {
	for y := s.first; y < len(s.down) && s.down[y].first <= s.row; y++ {
		weight := s.down[y].weights[s.row-s.down[y].first]
		pending := s.pending[y%len(s.pending)]
		for i, v := range s.line {
			pending[i] += weight * v
		}
		if s.row == s.down[y].end()-1 {
			s.store(y, pending)
			clear(pending)
			s.first = y + 1
		}
	}
}

// store writes a row of small, whose colours are not premultiplied.
func (s *scaler) store(y int, row []float32) {
	out := s.small.Pix[y*s.small.Stride:][:len(row)]
	for i := 0; i < len(row); i += 4 {
		alpha := min(max(row[i+3], 0), 255)
		if alpha < 0.5 {
			continue
		}
		for c := range 3 {
			out[i+c] = uint8(min(max(row[i+c]/alpha*255, 0), 255) + 0.5)
		}
		out[i+3] = uint8(alpha + 0.5)
	}
}
