package avatar

import (
	"bytes"
	"encoding/binary"
	"iter"
	"slices"
)

// Markers of a JPEG (ITU-T T.81, table B.1).
const (
	markerSOF0  = 0xc0 // frame: baseline
	markerSOF1  = 0xc1 // frame: extended sequential
	markerSOF2  = 0xc2 // frame: progressive
	markerDHT   = 0xc4
	markerJPG   = 0xc8
	markerSOF15 = 0xcf // the last frame that image/jpeg does not support: lossless, hierarchical, arithmetic
	markerRST0  = 0xd0
	markerRST7  = 0xd7
	markerEOI   = 0xd9
	markerSOS   = 0xda
	markerAPP0  = 0xe0
	markerAPP1  = 0xe1
	markerAPP14 = 0xee
)

// jpegSegments yields markers with their segments, and EOI as the last. It skips compressed data, fill bytes and stray
// data like image/jpeg, so that it misses no scan that image/jpeg finds. If the file is cut off, there is no EOI.
func jpegSegments(file []byte) iter.Seq2[byte, []byte] {
	return func(yield func(marker byte, segment []byte) bool) {
		for rest := file[min(2, len(file)):]; ; {
			at := bytes.IndexByte(rest, 0xff)
			if at < 0 || at+2 > len(rest) {
				return
			}
			switch marker := rest[at+1]; {
			case marker == 0xff: // a fill byte
				rest = rest[at+1:]
			case marker == 0, marker >= markerRST0 && marker <= markerRST7: // within compressed data
				rest = rest[at+2:]
			case marker == markerEOI:
				yield(marker, nil)
				return
			default:
				segment, after, ok := cutSegment(rest[at+2:])
				if !ok || !yield(marker, segment) {
					return
				}
				rest = after
			}
		}
	}
}

// cutSegment splits off a segment that begins with its length.
func cutSegment(data []byte) (segment, rest []byte, ok bool) {
	if len(data) < 2 {
		return nil, nil, false
	}
	length := int(binary.BigEndian.Uint16(data))
	if length < 2 || length > len(data) {
		return nil, nil, false
	}
	return data[2:length], data[length:], true
}

// jpegFrame collects what the segments of a JPEG announce, and the cost of its scans.
type jpegFrame struct {
	plan        Plan
	progressive bool
	components  []jpegComponent
	maxH, maxV  int   // of the components
	mcus        int64 // minimum coded units: 8*maxH x 8*maxV pixels
	scans       int
	jfif        bool
	adobe       bool
	transform   byte // of Adobe's segment: 0 means not YCbCr
}

type jpegComponent struct {
	id   byte
	h, v int // blocks of 8 x 8 samples in an MCU
}

func inspectJPEG(file []byte) (Plan, error) {
	var f jpegFrame
	for marker, segment := range jpegSegments(file) {
		if marker == markerEOI {
			return f.finish(len(file))
		}
		if err := f.readSegment(marker, segment); err != nil {
			return Plan{}, err
		}
	}
	return Plan{}, ErrPicture
}

func (f *jpegFrame) readSegment(marker byte, segment []byte) error {
	switch {
	case marker == markerSOF0 || marker == markerSOF1 || marker == markerSOF2:
		f.progressive = marker == markerSOF2
		return f.readFrame(segment)
	case marker > markerSOF2 && marker <= markerSOF15 && marker != markerDHT && marker != markerJPG:
		return ErrUnsupported
	case marker == markerSOS:
		return f.readScan(segment)
	case marker == markerAPP0 && len(segment) >= 5:
		f.jfif = string(segment[:5]) == "JFIF\x00"
	case marker == markerAPP14 && len(segment) >= 12 && string(segment[:5]) == "Adobe":
		f.adobe, f.transform = true, segment[11]
	}
	return nil
}

// readFrame reads the frame header (T.81, B.2.2).
func (f *jpegFrame) readFrame(segment []byte) error {
	const header, each = 6, 3
	if f.components != nil || len(segment) < header+each || len(segment) != header+each*int(segment[5]) {
		return ErrPicture
	}
	height, width := int(binary.BigEndian.Uint16(segment[1:])), int(binary.BigEndian.Uint16(segment[3:]))
	if n := segment[5]; segment[0] != 8 || n != 1 && n != 3 && n != 4 || height == 0 { // the height may follow in a DNL segment
		return ErrUnsupported
	}
	for c := range slices.Chunk(segment[header:], each) {
		h, v := int(c[1]>>4), int(c[1]&15)
		if len(segment) == header+each {
			h, v = 1, 1 // a single component is never interleaved
		}
		if h != 1 && h != 2 && h != 4 || v != 1 && v != 2 && v != 4 {
			return ErrUnsupported
		}
		f.components = append(f.components, jpegComponent{id: c[0], h: h, v: v})
		f.maxH, f.maxV = max(f.maxH, h), max(f.maxV, v)
	}
	f.mcus = int64((width+8*f.maxH-1)/(8*f.maxH)) * int64((height+8*f.maxV-1)/(8*f.maxV))
	plan, err := newPlan(width, height)
	f.plan = plan
	return err
}

// readScan reads the header of a scan (T.81, B.2.3) and adds its cost: the decoder visits every block of the scan's
// components, even if there is little data.
func (f *jpegFrame) readScan(segment []byte) error {
	if len(segment) < 6 || len(segment) != 4+2*int(segment[0]) {
		return ErrPicture
	}
	blocks := int64(0)
	for selector := range slices.Chunk(segment[1:len(segment)-3], 2) {
		at := slices.IndexFunc(f.components, func(c jpegComponent) bool { return c.id == selector[0] })
		if at < 0 {
			return ErrPicture
		}
		blocks += f.mcus * int64(f.components[at].h*f.components[at].v)
	}
	each := jpegBlock
	if f.progressive {
		first, last := segment[len(segment)-3], segment[len(segment)-2]
		each = jpegStoredBlock + jpegCoefficient*float64(max(0, int(last)-int(first)))
	}
	f.plan.Work += nanoseconds(blocks, each) + nanoseconds(1, jpegScan)
	f.scans++
	return nil
}

// finish adds the costs that do not depend on scans.
func (f *jpegFrame) finish(fileBytes int) (Plan, error) {
	if f.scans == 0 {
		return Plan{}, ErrPicture
	}
	p, blocks := f.plan, int64(0)
	for _, c := range f.components {
		blocks += f.mcus * int64(c.h*c.v)
	}
	p.Work += nanoseconds(fileBytes, jpegByte)
	p.Memory = f.imageMemory() + jpegMemory
	if f.progressive {
		const blockBytes = 64 * 4 // image/jpeg keeps all coefficients, as int32, until the end of the image
		p.Memory += blocks * blockBytes
		p.Work += nanoseconds(blocks, jpegTransform)
	}
	if len(f.components) == 4 || f.isRGB() {
		p.Memory += 4 * p.framePixels()
		p.Work += nanoseconds(p.framePixels(), jpegConvertedPixel)
	}
	return p, nil
}

// imageMemory returns the size of the decoded samples in bytes. Since Go 1.27, image/jpeg upsamples chroma if
// image.YCbCr does not support the ratio.
func (f *jpegFrame) imageMemory() (bytes int64) {
	const blockBytes = 64
	for i, c := range f.components {
		if i == 0 || i < 3 && f.upsamplesChroma() {
			c.h, c.v = f.maxH, f.maxV
		}
		bytes += f.mcus * int64(c.h*c.v) * blockBytes
	}
	return bytes
}

// upsamplesChroma reports whether chroma gets as many samples as luma.
func (f *jpegFrame) upsamplesChroma() bool {
	y, cb, cr := f.components[0], f.components[1], f.components[2]
	if cb.h != cr.h || cb.v != cr.v || y.h != f.maxH || y.v != f.maxV {
		return true
	}
	switch [2]int{f.maxH / cb.h, f.maxV / cb.v} {
	case [2]int{1, 1}, [2]int{1, 2}, [2]int{2, 1}, [2]int{2, 2}, [2]int{4, 1}, [2]int{4, 2}:
		return false
	}
	return true
}

// isRGB reports whether image/jpeg treats three components as red, green and blue, which it copies to another image.
func (f *jpegFrame) isRGB() bool {
	if len(f.components) != 3 || f.jfif {
		return false
	}
	return f.adobe && f.transform == 0 ||
		f.components[0].id == 'R' && f.components[1].id == 'G' && f.components[2].id == 'B'
}
