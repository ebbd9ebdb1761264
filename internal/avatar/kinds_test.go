package avatar

import (
	"bytes"
	"image"
	"image/color"
	"image/gif"
	"testing"
)

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
