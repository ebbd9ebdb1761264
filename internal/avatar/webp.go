package avatar

import (
	"bytes"
	"encoding/binary"
	"image"
	"io"
	"iter"
)

// webpChunks yields the chunks of a WebP (RFC 9649, section 2.3), or of a frame of an animation. It skips a chunk that
// is cut off.
func webpChunks(chunks []byte) iter.Seq2[string, []byte] {
	return func(yield func(kind string, chunk []byte) bool) {
		const frame = 8
		for rest := chunks; len(rest) >= frame; {
			end := uint64(binary.LittleEndian.Uint32(rest[4:])) + frame
			if end > uint64(len(rest)) || !yield(string(rest[:4]), rest[frame:end]) {
				return
			}
			rest = rest[min(end+end%2, uint64(len(rest))):] // chunks begin at even offsets
		}
	}
}

// webpBody returns the chunks of a file, without trailing data.
func webpBody(file []byte) []byte {
	const header = 12
	if len(file) < header {
		return nil
	}
	size := uint64(binary.LittleEndian.Uint32(file[4:])) + 8
	return file[header:max(header, min(size, uint64(len(file))))]
}

// webpStill is the first picture of a WebP.
type webpStill struct {
	canvas image.Point
	frame  image.Rectangle // part of the canvas that the picture covers
	alpha  []byte          // the chunk ALPH, or nil
	kind   string          // "VP8 " or "VP8L", the picture's chunk; "" if there is none
	data   []byte
}

// firstWebPPicture returns the first picture. The decoder does not support animations, so it must get the parts of the
// first frame as a still.
func firstWebPPicture(file []byte) (s webpStill) {
	for kind, chunk := range webpChunks(webpBody(file)) {
		switch {
		case kind == "VP8X" && len(chunk) >= 10:
			s.canvas = image.Pt(1+u24(chunk[4:]), 1+u24(chunk[7:]))
		case kind == "ANMF" && len(chunk) >= 16:
			for kind, part := range webpChunks(chunk[16:]) {
				s.setPicture(kind, part)
			}
			x, y := 2*u24(chunk), 2*u24(chunk[3:])
			s.frame = image.Rect(x, y, x+1+u24(chunk[6:]), y+1+u24(chunk[9:]))
			return s
		default:
			s.setPicture(kind, chunk)
		}
		if s.kind != "" {
			if s.canvas == (image.Point{}) {
				s.canvas = s.size()
			}
			s.frame.Max = s.canvas
			return s
		}
	}
	return s
}

func (s *webpStill) setPicture(kind string, chunk []byte) {
	switch {
	case s.kind != "": // keep the first
	case kind == "ALPH":
		s.alpha = chunk
	case kind == "VP8 ", kind == "VP8L":
		s.kind, s.data = kind, chunk
	}
}

func u24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

// reader returns a WebP that contains only this picture.
func (s webpStill) reader() io.Reader {
	const alphaFlag = 1 << 4
	var chunks []io.Reader
	size := len("WEBP")
	add := func(kind string, chunk []byte) {
		header := binary.LittleEndian.AppendUint32([]byte(kind), uint32(len(chunk)))
		padding := make([]byte, len(chunk)%2)
		chunks = append(chunks, bytes.NewReader(header), bytes.NewReader(chunk), bytes.NewReader(padding))
		size += len(header) + len(chunk) + len(padding)
	}
	if s.kind == "VP8 " && s.alpha != nil {
		w, h := s.frame.Dx()-1, s.frame.Dy()-1
		add("VP8X", []byte{alphaFlag, 0, 0, 0, byte(w), byte(w >> 8), byte(w >> 16), byte(h), byte(h >> 8), byte(h >> 16)})
		add("ALPH", s.alpha)
	}
	add(s.kind, s.data)
	riff := append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(size)), "WEBP"...)
	return io.MultiReader(append([]io.Reader{bytes.NewReader(riff)}, chunks...)...)
}

func inspectWebP(file []byte) (Plan, error) {
	s := firstWebPPicture(file)
	if s.frame.Size() != s.size() {
		return Plan{}, ErrPicture
	}
	plan, err := newPlanWithFrame(s.canvas.X, s.canvas.Y, s.frame)
	if err != nil {
		return Plan{}, err
	}
	switch s.kind {
	case "VP8 ":
		plan.Memory = vp8Memory(plan.frame.Size(), s.data)
		plan.Work = nanoseconds(plan.framePixels(), vp8Pixel) + nanoseconds(len(s.data), vp8Byte)
		if s.alpha != nil {
			err = s.addAlpha(&plan)
		}
	case "VP8L":
		err = addVP8L(&plan, s.data[vp8lHeader:])
	}
	return plan, err
}

// size returns the size of the picture, or the zero Point if there is none.
func (s webpStill) size() image.Point {
	switch {
	case s.kind == "VP8 " && len(s.data) >= 10 && s.data[0]&1 == 0: // a key frame (RFC 6386, section 9.1)
		w, h := binary.LittleEndian.Uint16(s.data[6:]), binary.LittleEndian.Uint16(s.data[8:])
		return image.Pt(int(w&0x3fff), int(h&0x3fff))
	case s.kind == "VP8L" && len(s.data) >= vp8lHeader:
		bits := binary.LittleEndian.Uint32(s.data[1:])
		return image.Pt(1+int(bits&0x3fff), 1+int(bits>>14&0x3fff))
	}
	return image.Point{}
}

// vp8Memory returns the bytes that golang.org/x/image/vp8 allocates: whole macroblocks of 16 x 16 pixels, and a copy of
// the data.
func vp8Memory(size image.Point, data []byte) int64 {
	const (
		macroblock = 16*16*3/2 + 4 // samples, and parameters of the filter
		column     = 8             // state of the row above
	)
	across, down := int64(size.X+15)/16, int64(size.Y+15)/16
	firstPartition := int64(data[0])>>5 | int64(data[1])<<3 | int64(data[2])<<11 // its claimed length, allocated before reading
	return across*down*macroblock + across*column + firstPartition + int64(len(data)) + webpMemory
}

// addAlpha adds the cost of a VP8 picture's alpha channel.
func (s webpStill) addAlpha(plan *Plan) error {
	if len(s.alpha) == 0 {
		return ErrPicture
	}
	plan.Memory += plan.framePixels()
	plan.Work += nanoseconds(plan.framePixels(), alphaPixel)
	if compressed := s.alpha[0]&3 == 1; compressed {
		return addVP8L(plan, s.alpha[1:])
	}
	return nil
}

// addVP8L adds the cost of a lossless picture of the frame's size.
func addVP8L(plan *Plan, data []byte) error {
	memory, err := vp8lMemory(data, plan.frame.Dx(), plan.frame.Dy())
	plan.Memory += memory
	plan.Work += nanoseconds(plan.framePixels(), vp8lPixel) + nanoseconds(len(data), vp8lByte)
	return err
}
