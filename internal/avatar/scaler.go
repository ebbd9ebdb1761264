package avatar

import (
	"image"
	"math"
)

// scaler scales a picture down that arrives row by row, as image.RGBA has it. It averages squares of pixels first, so far
// that what is left is still at least twice as large as the result, and filters that by Catmull-Rom: hardly to be told from
// filtering alone, in a fraction of the time. It holds few rows; golang.org/x/image/draw takes 64 MiB for 16 million pixels.
type scaler struct {
	small *image.NRGBA
	width int // of the picture
	left  int // rows of the picture that are still to come
	side  int // of the squares

	sums    []uint32  // of the row of squares that is being filled
	rows    int       // in sums
	average []float32 // of each square
	row     int       // of squares

	across  []taps // for each column of small: of which squares
	down    []taps // for each row of small: of which rows of squares
	line    []float32
	pending [][]float32 // rows of small that are not complete, by their number modulo len(pending)
	first   int         // the first row of small that is not complete
}

// taps are weights of consecutive samples.
type taps struct {
	first   int
	weights []float32
}

func (t taps) end() int { return t.first + len(t.weights) }

// newScaler returns a scaler of a picture of w x h pixels, to the size of small.
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

// scalerMemory returns what newScaler allocates for a picture of w x h pixels.
func scalerMemory(w, h int) int64 {
	smallW, smallH := shrunkSize(w, h)
	side := squareSide(w, h)
	const tapBytes = 32
	weights := 4 * (4*squares(w, side) + 4*squares(h, side) + 8*(smallW+smallH))
	rows := 16 * (2*squares(w, side) + 8*smallW)
	return int64(weights + rows + tapBytes*(smallW+smallH))
}

// squareSide returns the side of the squares that are averaged.
func squareSide(w, h int) int { return max(1, max(w, h)/(2*MaxSide)) }

// squares returns how many squares n pixels are, with one that is not whole.
func squares(n, side int) int { return (n + side - 1) / side }

// catmullRom returns the taps for size samples, made of n pixels in squares. The kernel is as wide as the result is
// smaller.
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

// overlap returns how many rows are incomplete at the same time.
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

// add takes the next row of the picture: four bytes a pixel, multiplied by its opacity.
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

// endRow takes a row of squares that is full.
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

// filterAcross filters the averages into line.
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

// filterDown adds line to the rows of small of which it is a part.
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

// store writes a row of small, whose colours are not multiplied by their opacity.
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
