package avatar

import (
	"bytes"
	"context"
	"errors"
	"image"
	"testing"
)

// addSeeds adds files of all kinds, small enough for fast mutation.
func addSeeds(f *testing.F) {
	f.Helper()
	add := func(file []byte) {
		if len(file) < 1<<15 {
			f.Add(file)
		}
	}
	for _, h := range hostile(f) {
		add(h.file)
	}
	for _, h := range overBudget(f) {
		add(h.file)
	}
	for _, file := range withinBudget(f, 600, 24) {
		add(file)
	}
	add(withEXIF(asJPEG(f, photo(20, 10)), 6))
	add(pngWithEXIF(asPNG(f, photo(20, 10)), 5))
	add(webpWithEXIF(readSample(f, "photo.webp"), 8, 60, 40))
	add(asGIF(f, photo(20, 10)))
	add(photoSpec(20, 10).encode(photo(20, 10)))
	add(webpFile(webpChunk("VP8L", vp8lGroups(12, 12, 4, true)...)))
	add(webpFile(webpCanvas(2, 100, 80), webpFrame(40, 20, 20, 20, redWebP(20, 20))))
}

// isPackageError reports whether an error is one of this package's.
func isPackageError(err error) bool {
	for _, own := range []error{ErrPicture, ErrUnsupported, ErrTooLarge, ErrTooManyPixels, ErrTooComplex} {
		if errors.Is(err, own) {
			return true
		}
	}
	return false
}

// Any file is rejected, or has a plan within the limits. Inspect allocates little in both cases.
func FuzzInspect(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, file []byte) {
		var plan Plan
		var err error
		if bytes := allocated(func() { plan, err = Inspect(file) }); bytes > 1<<20 {
			t.Errorf("Inspect allocated %d bytes", bytes)
		}
		if err != nil && !isPackageError(err) {
			t.Error(err)
		}
		if err == nil && (plan.Width < 1 || plan.Height < 1 || plan.Memory < 1 || plan.Memory > MaxMemory || plan.Work < 1 || plan.Work > MaxWork) {
			t.Errorf("%+v", plan)
		}
	})
}

// If a file has a plan, Make rejects it or returns a picture that is itself a valid input, within the planned memory.
func FuzzMake(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, file []byte) {
		plan, err := Inspect(file)
		if err != nil || plan.Width*plan.Height > 1<<18 {
			return // larger ones are slow and exercise no other code
		}
		var p Picture
		took := allocated(func() { p, err = Make(context.Background(), file, plan) })
		// Plan.Memory does not include short-lived tables for decompression.
		if garbage := int64(1<<20 + 2048*len(file)); took > plan.Memory+garbage {
			t.Errorf("Make allocated %d bytes, more than the %d of the plan", took, plan.Memory)
		}
		if err != nil {
			if !isPackageError(err) {
				t.Error(err)
			}
			return
		}
		if _, err := inspectAndMake(p.Data); err != nil {
			t.Errorf("Make rejects its own output: %v", err)
		}
	})
}

// benchmarked returns photos as phones take them, at 12 and 16 megapixels, and files that are slow to inspect.
func benchmarked(b *testing.B) map[string][]byte {
	b.Helper()
	files := map[string][]byte{}
	for name, size := range map[string]image.Point{"12_MP": {4032, 3024}, "16_MP": {4096, 4096}} {
		picture := scene(size.X, size.Y)
		files["baseline_"+name] = asJPEG(b, opaque(picture))
		files["progressive_"+name] = photoSpec(size.X, size.Y).encode(picture)
	}
	files["baseline_1_MP"] = asJPEG(b, photo(1280, 960))
	files["vp8l_2600_groups"] = webpFile(webpChunk("VP8L", vp8lGroups(208, 208, 2600, true)...))
	files["stuffed_bytes"] = append([]byte{0xff, 0xd8}, bytes.Repeat([]byte{0xff, 0}, MaxBytes/2-1)...)
	files["comments"] = append([]byte{0xff, 0xd8}, bytes.Repeat([]byte{0xff, 0xfe, 0, 2}, MaxBytes/4-1)...)
	return files
}

// opaque returns the picture as an opaque one.
func opaque(p *image.NRGBA) image.Image {
	return &image.RGBA{Pix: p.Pix, Stride: p.Stride, Rect: p.Rect}
}

func BenchmarkInspect(b *testing.B) {
	for name, file := range benchmarked(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(file)))
			for b.Loop() {
				_, _ = Inspect(file)
			}
		})
	}
}

func BenchmarkMake(b *testing.B) {
	for name, file := range benchmarked(b) {
		plan, err := Inspect(file)
		if err != nil {
			continue // only for BenchmarkInspect
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Make(context.Background(), file, plan); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(plan.Work), "planned-ns/op")
		})
	}
}
