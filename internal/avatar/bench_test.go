package avatar

import (
	"bytes"
	"context"
	"image"
	"testing"
)

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
