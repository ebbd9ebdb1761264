package avatar

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"runtime"
	"testing"
)

// allocated returns how many bytes f allocates. Nothing else may run in the process.
func allocated(f func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// greyJPEG returns a baseline JPEG.
func greyJPEG(t testing.TB, w, h int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewYCbCr(image.Rect(0, 0, w, h), image.YCbCrSubsampleRatio420), nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// claimedJPEG returns a small baseline JPEG whose header claims another size.
func claimedJPEG(t testing.TB, w, h int) []byte {
	t.Helper()
	file := greyJPEG(t, 8, 8)
	size := file[bytes.Index(file, []byte{0xff, markerSOF0})+5:]
	binary.BigEndian.PutUint16(size, uint16(h))
	binary.BigEndian.PutUint16(size[2:], uint16(w))
	return file
}

// repeated returns n repetitions of scans.
func repeated(n int, scans ...jpegScanSpec) (all []jpegScanSpec) {
	for range n {
		all = append(all, scans...)
	}
	return all
}

func adobe(transform byte) []byte {
	return append([]byte("\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00"), transform)
}

// segmented inserts the segments that phones write before the picture into a JPEG.
func segmented(file []byte) []byte {
	out := []byte{0xff, 0xd8}
	for _, s := range []string{"\xe0JFIF\x00\x01\x02\x00\x00\x01\x00\x01\x00\x00", "\xe2ICC_PROFILE\x00\x01\x01", "\xe1http://ns.adobe.com/xap/1.0/\x00<x/>", "\xe2MPF\x00MM", "\xfea comment"} {
		out = append(out, 0xff, 0xff, 0xff, s[0], byte((len(s)+1)>>8), byte(len(s)+1)) // fill bytes are legal
		out = append(out, s[1:]...)
	}
	return append(out, file[2:]...)
}

// spec returns the headers of a progressive JPEG of 16 megapixels, after change.
func spec(change func(*jpegSpec)) []byte {
	s := photoSpec(4096, 4096)
	s.cutScans = true
	change(&s)
	return s.encode(grey)
}

func TestInspect_PhonePhotos(t *testing.T) {
	for name, file := range map[string][]byte{
		"progressive, 16 megapixels":        spec(func(*jpegSpec) {}),
		"progressive, 12 megapixels, 4:2:2": spec(func(s *jpegSpec) { s.width, s.height, s.sampling = 4032, 3024, []byte{0x21, 0x11, 0x11} }),
		"progressive, grey":                 spec(func(s *jpegSpec) { s.sampling, s.scans = []byte{0x11}, []jpegScanSpec{{components: []int{0}}} }),
		"baseline, 16 megapixels":           claimedJPEG(t, 4096, 4096),
		"baseline, upright, with segments":  segmented(withEXIF(claimedJPEG(t, 3456, 4608), 6)),
		"a panorama":                        claimedJPEG(t, 12000, 1390),
		"a screenshot":                      pngFile(pngSpec{empty: true, pngHeader: pngHeader{width: 1440, height: 3200, depth: 8, colour: pngRGBA}}),
		"a PNG of 16 megapixels":            pngFile(pngSpec{empty: true, pngHeader: pngHeader{width: 4096, height: 4096, depth: 8, colour: pngRGBA}}),
		"a PNG of 16 bits, 12 megapixels":   pngFile(pngSpec{empty: true, pngHeader: pngHeader{width: 4032, height: 3024, depth: 16, colour: pngRGB}}),
	} {
		t.Run(name, func(t *testing.T) {
			fullSize := append(bytes.Clone(file), make([]byte, MaxBytes-len(file))...) // as if the rest were compressed data
			for _, file := range [][]byte{file, fullSize} {
				if plan, err := Inspect(file); err != nil {
					t.Errorf("%+v, %v", plan, err)
				}
			}
		})
	}
}

// overBudget returns pictures over the limits, and the errors.
func overBudget(t testing.TB) map[string]struct {
	file []byte
	want error
} {
	t.Helper()
	one, all := []int{0}, []int{0, 1, 2}
	png := func(h pngHeader) []byte { return pngFile(pngSpec{empty: true, pngHeader: h}) }
	gif := bytes.Clone(asGIF(t, photo(20, 10)))
	copy(gif[6:], "\xff\xff\xff\xff")
	return map[string]struct {
		file []byte
		want error
	}{
		"four components without data": {spec(func(s *jpegSpec) {
			s.segments, s.sampling = adobe(0), []byte{0x11, 0x11, 0x11, 0x11}
			s.scans = []jpegScanSpec{{components: []int{0, 1, 2, 3}}}
		}), ErrTooComplex},
		"progressive 4:4:4": {spec(func(s *jpegSpec) { s.sampling = []byte{0x11, 0x11, 0x11} }), ErrTooComplex},
		"2,500 scans": {spec(func(s *jpegSpec) {
			s.width, s.height = 1024, 1024
			s.scans = repeated(2500, jpegScanSpec{components: one, first: 1, last: 63})
		}), ErrTooComplex},
		"2,500 refining scans": {spec(func(s *jpegSpec) {
			s.width, s.height = 1024, 1024
			s.scans = repeated(2500, jpegScanSpec{components: one, first: 1, last: 63, high: 1})
		}), ErrTooComplex},
		"100 scans without data": {spec(func(s *jpegSpec) { s.scans = repeated(100, jpegScanSpec{components: all}) }), ErrTooComplex},
		"16 bits":                {png(pngHeader{width: 4096, height: 4096, depth: 16, colour: pngRGBA}), ErrTooComplex},
		"interlaced":             {png(pngHeader{width: 4096, height: 4096, depth: 8, colour: pngRGBA, interlaced: true}), ErrTooComplex},
		"too many pixels":        {png(pngHeader{width: 4097, height: 4096, depth: 1, colour: pngGrey}), ErrTooManyPixels},
		"too wide":               {png(pngHeader{width: MaxInputSide + 1, height: 1, depth: 1, colour: pngGrey}), ErrTooManyPixels},
		"wide JPEG":              {claimedJPEG(t, 65535, 1), ErrTooManyPixels},
		"a huge screen":          {gif, ErrTooManyPixels},
		"a huge VP8 picture":     {webpFile(webpChunk("VP8 ", 0, 0, 0, 0x9d, 1, 0x2a, 0xff, 0x3f, 0xff, 0x3f)), ErrTooManyPixels},
		"a huge VP8L picture":    {webpFile(webpChunk("VP8L", 0x2f, 0xff, 0xff, 0xff, 0x0f, 0, 0)), ErrTooManyPixels},
		"a huge canvas":          {webpFile(webpCanvas(2, 1<<24, 1<<24), webpFrame(0, 0, 60, 40, chunksOf(t, "photo.webp"))), ErrTooManyPixels},
		"VP8L with many codes":   {webpFile(webpChunk("VP8L", vp8lGroups(208, 208, 2600, true)...)), ErrTooComplex},
	}
}

func TestInspect_OverBudget(t *testing.T) {
	for name, h := range overBudget(t) {
		t.Run(name, func(t *testing.T) {
			var err error
			if bytes := allocated(func() { _, err = Inspect(h.file) }); bytes > 64<<10 {
				t.Errorf("Inspect allocated %d bytes", bytes)
			}
			if !errors.Is(err, h.want) {
				t.Errorf("%v, want %v", err, h.want)
			}
		})
	}
}

func TestInspect_Unsupported(t *testing.T) {
	frame := func(marker, precision byte, height int, sampling byte) []byte {
		return []byte{0xff, 0xd8, 0xff, marker, 0, 11, precision, byte(height >> 8), byte(height), 0, 8, 1, 1, sampling, 0, 0xff, 0xd9}
	}
	for name, file := range map[string][]byte{
		"12 bits": frame(markerSOF1, 12, 8, 0x11), "lossless": frame(0xc3, 8, 8, 0x11), "arithmetic": frame(0xc9, 8, 8, 0x11),
		"hierarchical": frame(0xc5, 8, 8, 0x11), "height in a later segment": frame(markerSOF0, 8, 0, 0x11),
		"CMYK without Adobe's segment": spec(func(s *jpegSpec) {
			s.cutScans, s.width, s.height, s.sampling = false, 16, 16, []byte{0x11, 0x11, 0x11, 0x11}
			s.scans = []jpegScanSpec{{components: []int{0, 1, 2, 3}}}
		}),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := inspectAndMake(file); !errors.Is(err, ErrUnsupported) {
				t.Error(err)
			}
		})
	}
}

// withinBudget returns pictures of all kinds, which cover all allocations of the decoders. Most have the given size.
func withinBudget(t testing.TB, w, h int) map[string][]byte {
	t.Helper()
	files := map[string][]byte{
		"gif":                   asGIF(t, photo(w, h)),
		"baseline 4:2:0":        greyJPEG(t, w, h),
		"small":                 asJPEG(t, photo(300, 200)),
		"webp":                  readSample(t, "photo.webp"),
		"lossless webp":         readSample(t, "lossless.webp"),
		"webp with opacity":     webpFile(webpCanvas(16, 60, 40), alphaChunk(60, 40), chunksOf(t, "photo.webp")),
		"animated webp":         webpFile(webpCanvas(2, 900, 700), webpFrame(10, 20, 60, 40, chunksOf(t, "photo.webp"))),
		"400 groups":            webpFile(webpChunk("VP8L", vp8lGroups(96, 96, 400, true)...)),
		"1000 groups, one used": webpFile(webpChunk("VP8L", vp8lGroups(160, 160, 1001, false)...)),
		"999 groups, all kept":  webpFile(webpChunk("VP8L", vp8lGroups(160, 160, 999, false)...)),
	}
	for _, header := range []pngHeader{
		{depth: 8, colour: pngRGB}, {depth: 8, colour: pngRGB, transparent: true}, {depth: 8, colour: pngRGBA}, {depth: 8, colour: pngRGBA, interlaced: true},
		{depth: 16, colour: pngRGBA, interlaced: true}, {depth: 16, colour: pngRGB}, {depth: 16, colour: pngGrey}, {depth: 16, colour: pngGreyAlpha},
		{depth: 1, colour: pngGrey}, {depth: 2, colour: pngGrey, transparent: true}, {depth: 4, colour: pngPalette}, {depth: 8, colour: pngPalette, interlaced: true, transparent: true},
	} {
		header.width, header.height = w, h
		files["png "+header.String()] = pngFile(pngSpec{pngHeader: header, value: 1})
	}
	for name, s := range map[string]jpegSpec{
		"4:2:0": {}, "4:2:2": {sampling: []byte{0x21, 0x11, 0x11}}, "4:1:1": {sampling: []byte{0x41, 0x11, 0x11}}, "4:4:4": {sampling: []byte{0x11, 0x11, 0x11}},
		"RGB":  {sampling: []byte{0x11, 0x11, 0x11}, segments: adobe(0)},
		"grey": {sampling: []byte{0x22}, scans: []jpegScanSpec{{components: []int{0}}}},
		"CMYK": {sampling: []byte{0x11, 0x11, 0x11, 0x11}, segments: adobe(0), scans: []jpegScanSpec{{components: []int{0, 1, 2, 3}}}},
		"YCCK": {sampling: []byte{0x22, 0x11, 0x11, 0x22}, segments: adobe(2), scans: []jpegScanSpec{{components: []int{0, 1, 2, 3}}}},
	} {
		s.width, s.height = w, h
		if s.sampling == nil {
			s.sampling = []byte{0x22, 0x11, 0x11}
		}
		if s.scans == nil {
			s.scans = libjpegScans
		}
		files["progressive "+name] = s.encode(photo(s.width, s.height))
	}
	return files
}

func (h pngHeader) String() string {
	name := map[byte]string{pngGrey: "grey", pngRGB: "RGB", pngPalette: "palette", pngGreyAlpha: "grey and opacity", pngRGBA: "RGBA"}[h.colour]
	return name + map[byte]string{1: " 1", 2: " 2", 4: " 4", 8: " 8", 16: " 16"}[h.depth] +
		map[bool]string{true: " interlaced"}[h.interlaced] + map[bool]string{true: " transparent"}[h.transparent]
}

func TestPlan_Memory(t *testing.T) {
	files := withinBudget(t, 700, 560)
	if !testing.Short() {
		files["16 megapixels, progressive"] = photoSpec(4096, 4096).encode(grey)
	}
	for name, file := range files {
		t.Run(name, func(t *testing.T) {
			plan, err := Inspect(file)
			if err != nil {
				t.Fatal(err)
			}
			var p Picture
			took := allocated(func() { p, err = Make(context.Background(), file, plan) })
			if err != nil || len(p.Data) == 0 {
				t.Fatal(err)
			}
			if took > plan.Memory {
				t.Errorf("Make allocated %d bytes, more than the %d of the plan", took, plan.Memory)
			}
			// The bound of the encoder is loose: transparent noise takes far more than these pictures.
			if limit := took*3/2 + encodeMemory("png", MaxSide*MaxSide); plan.Memory > limit {
				t.Errorf("the plan has %d bytes, Make allocated %d", plan.Memory, took)
			}
		})
	}
}

// Inspect must find every scan that image/jpeg finds, even after unusual data.
func TestInspect_CountsScans(t *testing.T) {
	s := photoSpec(64, 64)
	s.scans = s.scans[:1]
	file := s.encode(grey)
	one, err := Inspect(file)
	if err != nil {
		t.Fatal(err)
	}
	scan := file[bytes.LastIndex(file, []byte{0xff, markerSOS}) : len(file)-2]
	for name, between := range map[string]string{
		"at once": "", "fill bytes": "\xff\xff\xff", "stray data": "abc\x00", "stuffed bytes": "\xff\x00\xff\x00", "a restart marker": "\xff\xd3",
		"a segment that contains an end": "\xff\xfe\x00\x06\xff\xd9\xff\xd9", "a comment": "\xff\xfe\x00\x02",
	} {
		t.Run(name, func(t *testing.T) {
			twice := append(append(bytes.Clone(file[:len(file)-2]), between...), scan...)
			twice = append(twice, 0xff, markerEOI)
			plan, err := Inspect(twice)
			if err != nil || plan.Work <= one.Work+nanoseconds(24, jpegStoredBlock) {
				t.Errorf("%v of work, %v; one scan has %v", plan.Work, err, one.Work)
			}
			if _, err := Make(t.Context(), twice, plan); err != nil {
				t.Error(err)
			}
		})
	}
}

// Of an animation, the first picture is taken, at its position on the canvas.
func TestMake_Animations(t *testing.T) {
	first := image.NewPaletted(image.Rect(40, 20, 60, 40), color.Palette{color.NRGBA{R: 255, A: 255}})
	second := image.NewPaletted(image.Rect(0, 0, 100, 80), color.Palette{color.NRGBA{B: 255, A: 255}})
	var anim bytes.Buffer
	err := gif.EncodeAll(&anim, &gif.GIF{Image: []*image.Paletted{first, second}, Delay: []int{1, 1}, Config: image.Config{Width: 100, Height: 80}})
	if err != nil {
		t.Fatal(err)
	}
	lossy, lossless := chunksOf(t, "photo.webp"), chunksOf(t, "lossless.webp")
	frames := webpFrame(0, 0, 60, 40, lossless)
	for name, file := range map[string][]byte{
		"gif":                            anim.Bytes(),
		"gif without the second picture": anim.Bytes()[:anim.Len()/2],
		"webp":                           webpFile(webpCanvas(2, 100, 80), webpChunk("ANIM", make([]byte, 6)...), webpFrame(40, 20, 20, 20, redWebP(20, 20)), frames),
		"webp with chunks that are new":  webpFile(webpCanvas(2, 100, 80), webpChunk("NEW ", 1), webpFrame(40, 20, 20, 20, append(webpChunk("NEW ", 1), redWebP(20, 20)...)), frames),
		"webp of large canvas, shrunk":   webpFile(webpCanvas(2, 1000, 800), webpFrame(400, 200, 200, 200, redWebP(200, 200)), frames),
		"gif of a large screen, shrunk":  scaledGIF(t, 10),
	} {
		t.Run(name, func(t *testing.T) {
			p, err := inspectAndMake(file)
			if err != nil {
				t.Fatal(err)
			}
			made := decode(t, p)
			w, h := made.Bounds().Dx(), made.Bounds().Dy()
			if w*80 != h*100 && w != 512 {
				t.Errorf("size %v", made.Bounds())
			}
			if _, _, _, a := made.At(0, 0).RGBA(); a != 0 {
				t.Error("not transparent outside of the first picture")
			}
			if r, _, b, a := made.At(w/2, h*3/8).RGBA(); r < 0xf000 || b > 0x1000 || a != 0xffff {
				t.Errorf("the first picture is not at its position: %v", made.At(w/2, h*3/8))
			}
		})
	}
	t.Run("lossy with opacity", func(t *testing.T) {
		p, err := inspectAndMake(webpFile(webpCanvas(18, 100, 80), webpFrame(20, 10, 60, 40, append(alphaChunk(60, 40), lossy...))))
		if err != nil {
			t.Fatal(err)
		}
		made := decode(t, p)
		_, _, _, left := made.At(30, 30).RGBA()
		_, _, _, right := made.At(70, 30).RGBA()
		if made.Bounds().Dx() != 100 || left != 0 || right != 0xffff {
			t.Errorf("%v, with the opacities %d and %d", made.Bounds(), left, right)
		}
	})
	for name, file := range map[string][]byte{
		"beyond the canvas":     webpFile(webpCanvas(2, 100, 80), webpFrame(60, 20, 60, 40, lossy)),
		"of another size":       webpFile(webpCanvas(2, 100, 80), webpFrame(0, 0, 61, 40, lossy)),
		"without a picture":     webpFile(webpCanvas(2, 100, 80), webpFrame(0, 0, 60, 40, nil), frames),
		"without a canvas":      webpFile(webpFrame(0, 0, 60, 40, lossy)),
		"without frames":        webpFile(webpCanvas(2, 100, 80)),
		"cut off":               webpFile(webpCanvas(2, 100, 80), webpFrame(0, 0, 60, 40, lossy))[:120],
		"a still of other size": webpFile(webpCanvas(0, 100, 80), lossy),
	} {
		t.Run("rejected: "+name, func(t *testing.T) {
			if _, err := inspectAndMake(file); err != ErrPicture {
				t.Error(err)
			}
		})
	}
}

// redWebP returns the chunks of a lossless picture of one colour.
func redWebP(w, h int) []byte {
	b := &vp8lBits{}
	b.put(0x2f, 8)
	b.put(w-1, 14)
	b.put(h-1, 14)
	b.put(0, 4+1+1+1) // no alpha, version 0; no transform, no cache, one group
	for _, symbol := range []int{0, 255, 0, 255, 0} {
		b.putSingle(symbol)
	}
	return webpChunk("VP8L", append(b.out, 0, 0)...)
}

// scaledGIF returns a GIF with a red picture on a larger screen.
func scaledGIF(t *testing.T, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	red := image.NewPaletted(image.Rect(40*n, 20*n, 60*n, 40*n), color.Palette{color.NRGBA{R: 255, A: 255}})
	if err := gif.EncodeAll(&b, &gif.GIF{Image: []*image.Paletted{red}, Delay: []int{1}, Config: image.Config{Width: 100 * n, Height: 80 * n}}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Kinds that phones do not write are decoded correctly, too.
func TestMake_RareKinds(t *testing.T) {
	small := photo(64, 48)
	grey := image.NewGray(small.Rect)
	deep := image.NewNRGBA64(small.Rect)
	for y := range 48 {
		for x := range 64 {
			grey.Set(x, y, small.At(x, y))
			deep.Set(x, y, small.At(x, y))
		}
	}
	onebit := image.NewPaletted(small.Rect, color.Palette{color.Black, color.White})
	for i := range onebit.Pix {
		onebit.Pix[i] = byte(i % 64 / 32)
	}
	apng := asPNG(t, small)
	apng = append(pngChunk(bytes.Clone(apng[:33]), "acTL", make([]byte, 8)), append(pngChunk(nil, "fcTL", make([]byte, 26)), apng[33:]...)...)
	cmyk := jpegSpec{width: 64, height: 48, sampling: []byte{0x11, 0x11, 0x11, 0x11}, segments: adobe(2), scans: []jpegScanSpec{{components: []int{0, 1, 2, 3}}}}
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"progressive JPEG":                {photoSpec(64, 48).encode(small), "red green blue white"},
		"JPEG with fill bytes":            {segmented(asJPEG(t, small)), "red green blue white"},
		"grey JPEG":                       {asJPEG(t, grey), ""},
		"CMYK JPEG":                       {cmyk.encode(small), "green red red blue"}, // Adobe inverts each component
		"PNG of 16 bits":                  {asPNG(t, deep), "red green blue white"},
		"PNG of 1 bit":                    {asPNG(t, onebit), "blue white white blue"}, // cornerAt names black blue
		"animated PNG":                    {apng, "red green blue white"},
		"interlaced, without some passes": {pngFile(pngSpec{pngHeader: pngHeader{width: 3, height: 1, depth: 8, colour: pngRGB, interlaced: true}, value: 255}), "white white white white"},
		"PNG of one colour":               {asPNG(t, image.NewPaletted(small.Rect, color.Palette{color.White})), "white white white white"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := inspectAndMake(c.file)
			if err != nil {
				t.Fatal(err)
			}
			if got := corners(decode(t, p)); c.want != "" && got != c.want {
				t.Errorf("the corners are %s, want %s", got, c.want)
			}
		})
	}
}
