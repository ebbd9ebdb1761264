package avatar

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"golang.org/x/image/draw"
)

// photo returns a picture with corners of different colours: red, green, blue and white, clockwise from the upper left.
func photo(w, h int) *image.NRGBA {
	p := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.NRGBA{R: 255, A: 255}
			switch {
			case x >= w/2 && y < h/2:
				c = color.NRGBA{G: 255, A: 255}
			case x >= w/2:
				c = color.NRGBA{B: 255, A: 255}
			case y >= h/2:
				c = color.NRGBA{R: 255, G: 255, B: 255, A: 255}
			}
			p.SetNRGBA(x, y, c)
		}
	}
	return p
}

func asJPEG(t testing.TB, p image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, p, &jpeg.Options{Quality: 95}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asPNG(t testing.TB, p image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, p); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asGIF(t testing.TB, p image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := gif.Encode(&b, p, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func readSample(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// exif returns EXIF data with an orientation and the position where the picture was taken.
func exif(o orientation) []byte {
	tiff := []byte("MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01")
	tiff = binary.BigEndian.AppendUint16(tiff, uint16(o))
	return append(tiff, "\x00\x00\x00\x00\x00\x00GPS 23.1291N 113.2644E"...)
}

// withEXIF inserts EXIF data into a JPEG.
func withEXIF(file []byte, o orientation) []byte {
	segment := append([]byte(exifPrefix), exif(o)...)
	out := append([]byte{0xff, 0xd8, 0xff, 0xe1}, binary.BigEndian.AppendUint16(nil, uint16(len(segment)+2))...)
	return append(append(out, segment...), file[2:]...)
}

// pngWithEXIF inserts EXIF data into a PNG, after its header.
func pngWithEXIF(file []byte, o orientation) []byte {
	const header = 33
	data := exif(o)
	chunk := append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), append([]byte("eXIf"), data...)...)
	chunk = binary.BigEndian.AppendUint32(chunk, crc32.ChecksumIEEE(chunk[4:]))
	return append(append(bytes.Clone(file[:header]), chunk...), file[header:]...)
}

// webpWithEXIF appends EXIF data to a simple WebP, which becomes an extended one.
func webpWithEXIF(file []byte, o orientation, w, h int) []byte {
	data := exif(o)
	if len(data)%2 == 1 {
		data = append(data, 0)
	}
	extended := []byte{'V', 'P', '8', 'X', 10, 0, 0, 0, 0x08, 0, 0, 0, byte(w - 1), 0, 0, byte(h - 1), 0, 0}
	out := append(bytes.Clone(file[:12]), extended...)
	out = append(out, file[12:]...)
	out = append(binary.LittleEndian.AppendUint32(append(out, "EXIF"...), uint32(len(data))), data...)
	binary.LittleEndian.PutUint32(out[4:], uint32(len(out)-8))
	return out
}

// inspectAndMake calls Inspect and Make, like a caller of this package.
func inspectAndMake(file []byte) (Picture, error) {
	plan, err := Inspect(file)
	if err != nil {
		return Picture{}, err
	}
	return Make(context.Background(), file, plan)
}

// decode decodes a Picture and checks its extension.
func decode(t *testing.T, p Picture) image.Image {
	t.Helper()
	made, format, err := image.Decode(bytes.NewReader(p.Data))
	if err != nil {
		t.Fatal(err)
	}
	if p.Extension != map[string]string{"jpeg": ".jpg", "png": ".png"}[format] {
		t.Errorf("a %s has the extension %s", format, p.Extension)
	}
	return made
}

// cornerAt names the colour of a pixel a tenth of the size away from a corner.
func cornerAt(p image.Image, right, low bool) string {
	b := p.Bounds()
	x, y := b.Dx()/10, b.Dy()/10
	if right {
		x = b.Dx() - 1 - x
	}
	if low {
		y = b.Dy() - 1 - y
	}
	r, g, blue, _ := p.At(b.Min.X+x, b.Min.Y+y).RGBA()
	switch {
	case r > 0x8000 && g > 0x8000 && blue > 0x8000:
		return "white"
	case r > 0x8000:
		return "red"
	case g > 0x8000:
		return "green"
	}
	return "blue"
}

// corners returns the colours of a picture's corners, clockwise from the upper left.
func corners(p image.Image) string {
	return strings.Join([]string{cornerAt(p, false, false), cornerAt(p, true, false), cornerAt(p, true, true), cornerAt(p, false, true)}, " ")
}

func TestMake(t *testing.T) {
	for name, file := range map[string][]byte{
		"jpeg": asJPEG(t, photo(800, 600)), "png": asPNG(t, photo(800, 600)), "gif": asGIF(t, photo(800, 600)),
	} {
		t.Run(name, func(t *testing.T) {
			p, err := inspectAndMake(file)
			if err != nil {
				t.Fatal(err)
			}
			made := decode(t, p)
			if made.Bounds().Dx() != 512 || made.Bounds().Dy() != 384 || corners(made) != "red green blue white" {
				t.Errorf("size %v, corners %s", made.Bounds(), corners(made))
			}
		})
	}
	for _, name := range []string{"photo.webp", "lossless.webp"} {
		t.Run(name, func(t *testing.T) {
			p, err := inspectAndMake(readSample(t, name))
			if err != nil {
				t.Fatal(err)
			}
			if made := decode(t, p); made.Bounds().Dx() != 60 || made.Bounds().Dy() != 40 {
				t.Errorf("size %v: small pictures keep their size", made.Bounds())
			}
		})
	}
	t.Run("transparent", func(t *testing.T) {
		given := photo(40, 40)
		given.SetNRGBA(0, 0, color.NRGBA{R: 77})
		p, err := inspectAndMake(asPNG(t, given))
		if err != nil {
			t.Fatal(err)
		}
		if r, _, _, a := decode(t, p).At(0, 0).RGBA(); a != 0 || r != 0 {
			t.Errorf("the invisible pixel has red %d, opacity %d", r, a)
		}
	})
	t.Run("very long", func(t *testing.T) {
		p, err := inspectAndMake(asPNG(t, photo(8000, 2)))
		if err != nil {
			t.Fatal(err)
		}
		if made := decode(t, p); made.Bounds().Dx() != 512 || made.Bounds().Dy() != 1 {
			t.Errorf("size %v", made.Bounds())
		}
	})
}

func TestMake_Orientation(t *testing.T) {
	t.Run("turns JPEG by EXIF and drops metadata", func(t *testing.T) {
		for o, want := range map[orientation]string{
			0: "red green blue white", 1: "red green blue white", 2: "green red white blue", 3: "blue white red green",
			4: "white blue green red", 5: "red white blue green", 6: "white red green blue", 7: "blue green red white",
			8: "green blue white red", 9: "red green blue white",
		} {
			p, err := inspectAndMake(withEXIF(asJPEG(t, photo(80, 40)), o))
			if err != nil {
				t.Fatalf("orientation %d: %v", o, err)
			}
			made := decode(t, p)
			if corners(made) != want {
				t.Errorf("orientation %d results in %s, want %s", o, corners(made), want)
			}
			if onSide := o >= 5 && o <= 8; (made.Bounds().Dy() == 80) != onSide {
				t.Errorf("orientation %d results in %v", o, made.Bounds())
			}
			if bytes.Contains(p.Data, []byte("GPS")) || bytes.Contains(p.Data, []byte("Exif")) {
				t.Errorf("orientation %d: metadata is left", o)
			}
		}
	})

	t.Run("turns PNG and WebP by EXIF", func(t *testing.T) {
		for name, file := range map[string][]byte{
			"png": pngWithEXIF(asPNG(t, photo(60, 40)), 6), "webp": webpWithEXIF(readSample(t, "photo.webp"), 6, 60, 40),
			"lossless webp": webpWithEXIF(readSample(t, "lossless.webp"), 6, 60, 40),
		} {
			p, err := inspectAndMake(file)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if made := decode(t, p); made.Bounds().Dx() != 40 || made.Bounds().Dy() != 60 {
				t.Errorf("%s is %v", name, made.Bounds())
			}
			if bytes.Contains(p.Data, []byte("GPS")) {
				t.Errorf("%s: metadata is left", name)
			}
		}
	})
}

// withClaimedSize changes the size in a PNG's header.
func withClaimedSize(file []byte, w, h uint32) []byte {
	out := bytes.Clone(file)
	binary.BigEndian.PutUint32(out[16:], w)
	binary.BigEndian.PutUint32(out[20:], h)
	binary.BigEndian.PutUint32(out[29:], crc32.ChecksumIEEE(out[12:29]))
	return out
}

// hostile returns files that must be rejected, and the errors.
func hostile(t testing.TB) map[string]struct {
	file []byte
	want error
} {
	t.Helper()
	jpg, pic, anim, webp := asJPEG(t, photo(80, 40)), asPNG(t, photo(80, 40)), asGIF(t, photo(80, 40)), readSample(t, "photo.webp")
	type files = map[string]struct {
		file []byte
		want error
	}
	return files{
		"empty":                     {[]byte{}, ErrPicture},
		"text":                      {[]byte("<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"), ErrPicture},
		"bomb":                      {withClaimedSize(pic, 60_000, 60_000), ErrTooManyPixels},
		"bomb of one line":          {withClaimedSize(pic, 2_000_000_000, 1), ErrTooManyPixels},
		"many pixels":               {withClaimedSize(pic, 8192, 8192), ErrTooManyPixels},
		"negative size":             {withClaimedSize(pic, 4_000_000_000, 1), ErrPicture},
		"wrong size":                {withClaimedSize(pic, 81, 40), ErrPicture},
		"truncated jpeg":            {jpg[:len(jpg)/2], ErrPicture},
		"jpeg without end":          {jpg[:len(jpg)-2], ErrPicture},
		"jpeg that ends in a scan":  {append(bytes.Clone(jpg[:len(jpg)-40]), 0xff, markerEOI), ErrPicture},
		"truncated png":             {pic[:len(pic)-20], ErrPicture},
		"truncated gif":             {anim[:len(anim)-30], ErrPicture},
		"truncated webp":            {webp[:len(webp)-8], ErrPicture},
		"bmp":                       {append([]byte("BM"), make([]byte, 100)...), ErrPicture},
		"jpeg with a png signature": {append([]byte("\x89PNG\r\n\x1a\n"), jpg...), ErrPicture},
		"larger than 4 MiB":         {append(bytes.Clone(jpg), make([]byte, MaxBytes)...), ErrTooLarge},
		"damaged png":               {append(append(bytes.Clone(pic[:50]), 0xff), pic[51:]...), ErrPicture},
	}
}

func TestMake_InvalidFiles(t *testing.T) {
	for name, h := range hostile(t) {
		t.Run(name, func(t *testing.T) {
			if p, err := inspectAndMake(h.file); !errors.Is(err, h.want) || p.Data != nil {
				t.Errorf("%d bytes, %v, want %v", len(p.Data), err, h.want)
			}
		})
	}
}

func TestMake_DropsTrailer(t *testing.T) {
	const secret = "a trailer that must not be kept"
	for name, file := range map[string][]byte{
		"jpeg": asJPEG(t, photo(80, 40)), "progressive": photoSpec(80, 40).encode(photo(80, 40)), "png": asPNG(t, photo(80, 40)),
		"gif": asGIF(t, photo(80, 40)), "webp": readSample(t, "photo.webp"), "lossless webp": readSample(t, "lossless.webp"),
	} {
		for what, tail := range map[string]string{
			"CR LF": "\r\n", "zeros": strings.Repeat("\x00", 512), "an archive": "PK\x03\x04\x14\x00\x00\x00", "a script": "<script>",
			"a video": "\x00\x00\x00\x18ftypmp42", "another picture": string(asJPEG(t, photo(16, 16))), "a marker": "\xff\xda\x00",
		} {
			t.Run(name+" with "+what, func(t *testing.T) {
				alone, err := inspectAndMake(file)
				if err != nil {
					t.Fatal(err)
				}
				p, err := inspectAndMake(append(append(bytes.Clone(file), tail...), secret...))
				if err != nil || !bytes.Equal(p.Data, alone.Data) {
					t.Errorf("%d bytes, %v, want the %d bytes of the picture alone", len(p.Data), err, len(alone.Data))
				}
				if bytes.Contains(p.Data, []byte(secret)) {
					t.Error("the trailer is kept")
				}
			})
		}
	}
}

func TestMake_ContextEnds(t *testing.T) {
	for name, file := range map[string][]byte{
		"jpeg": asJPEG(t, photo(800, 400)), "png": asPNG(t, photo(800, 400)), "gif": asGIF(t, photo(800, 400)), "webp": readSample(t, "photo.webp"),
		"damaged": asJPEG(t, photo(800, 400))[:1000:1000],
	} {
		plan, err := Inspect(file)
		if name == "damaged" {
			plan, err = Plan{Format: "jpeg"}, nil
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name+" before it begins", func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if p, err := Make(ctx, file, plan); err != context.Canceled || p.Data != nil {
				t.Errorf("%d bytes, %v", len(p.Data), err)
			}
		})
		for after := range 4 {
			t.Run(fmt.Sprintf("%s after %d checks", name, after), func(t *testing.T) {
				ctx := &expiringContext{Context: t.Context(), left: after}
				if p, err := Make(ctx, file, plan); err != context.DeadlineExceeded || p.Data != nil {
					t.Errorf("%d bytes, %v", len(p.Data), err)
				}
			})
		}
	}
}

// expiringContext ends after its error has been checked a number of times.
type expiringContext struct {
	context.Context
	left int
}

func (c *expiringContext) Err() error {
	if c.left--; c.left < 0 {
		return context.DeadlineExceeded
	}
	return nil
}

// scene returns a picture with smooth and with sharp parts. Its lower half becomes transparent to the right.
func scene(w, h int) *image.NRGBA {
	p := image.NewNRGBA(image.Rect(0, 0, w, h))
	random := rand.New(rand.NewPCG(1, 2))
	for y := range h {
		for x := range w {
			fx, fy := float64(x)/float64(w), float64(y)/float64(h)
			v := uint8(128 + 100*math.Sin(40*fx*fx)*math.Cos(30*fy) + 20*random.Float64())
			c := color.NRGBA{R: v, G: uint8(255 * fx), B: 255 - v, A: 255}
			if (x*20/w+y*20/h)%5 == 0 {
				c.R, c.G = 255, 255
			}
			if y > h/2 {
				c.A = uint8(255 * (1 - fx))
			}
			p.SetNRGBA(x, y, c)
		}
	}
	return p
}

func TestShrink(t *testing.T) {
	// The result resembles that of the usual filter, which takes far more memory.
	t.Run("matches a Catmull-Rom filter", func(t *testing.T) {
		for _, size := range []image.Point{{513, 400}, {700, 900}, {1500, 1000}, {2047, 600}, {600, 7}, {5000, 300}} {
			t.Run(size.String(), func(t *testing.T) {
				src := scene(size.X, size.Y)
				plan, err := newPlan(size.X, size.Y)
				if err != nil {
					t.Fatal(err)
				}
				got, err := shrink(context.Background(), src, plan)
				if err != nil {
					t.Fatal(err)
				}
				want := image.NewRGBA(got.Rect)
				draw.CatmullRom.Scale(want, want.Rect, src, src.Rect, draw.Src, nil)
				if mean, most := difference(got, want); mean > 1.5 || most > 40 {
					t.Errorf("%v: the samples differ by %.2f on average and by %d at most", got.Rect, mean, most)
				}
			})
		}
	})

	t.Run("keeps flat colours", func(t *testing.T) {
		for _, c := range []color.NRGBA{{A: 255}, {R: 255, G: 255, B: 255, A: 255}, {R: 200, G: 100, B: 50, A: 255}, {R: 255, A: 128}, {}} {
			for _, size := range []image.Point{{512, 512}, {513, 511}, {700, 501}, {16384, 2}, {2, 9000}} {
				src := image.NewNRGBA(image.Rectangle{Max: size})
				for i := 0; i < len(src.Pix); i += 4 {
					copy(src.Pix[i:], []byte{c.R, c.G, c.B, c.A})
				}
				plan, err := newPlan(size.X, size.Y)
				if err != nil {
					t.Fatal(err)
				}
				got, err := shrink(context.Background(), src, plan)
				if err != nil {
					t.Fatal(err)
				}
				for i := 0; i < len(got.Pix); i += 4 {
					p := color.RGBA{R: got.Pix[i], G: got.Pix[i+1], B: got.Pix[i+2], A: got.Pix[i+3]}
					if p := color.NRGBAModel.Convert(p); p != c {
						t.Fatalf("%v became %v, in a picture of %v", c, p, size)
					}
				}
			}
		}
	})
}

// difference returns the average and maximum difference of two pictures' samples, premultiplied by alpha.
func difference(a, b *image.RGBA) (mean float64, most int) {
	for y := range a.Rect.Dy() {
		for x := range a.Rect.Dx() {
			p, q := a.RGBA64At(x, y), b.RGBA64At(x, y)
			for _, d := range []int{int(p.R) - int(q.R), int(p.G) - int(q.G), int(p.B) - int(q.B), int(p.A) - int(q.A)} {
				d = max(d, -d) >> 8
				mean, most = mean+float64(d), max(most, d)
			}
		}
	}
	return mean / float64(4*a.Rect.Dx()*a.Rect.Dy()), most
}
