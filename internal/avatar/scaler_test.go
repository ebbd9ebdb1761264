package avatar

import (
	"context"
	"image"
	"image/color"
	"math"
	"math/rand/v2"
	"testing"

	"golang.org/x/image/draw"
)

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
				want := image.NewNRGBA(got.Rect)
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
					if p := (color.NRGBA{R: got.Pix[i], G: got.Pix[i+1], B: got.Pix[i+2], A: got.Pix[i+3]}); p != c {
						t.Fatalf("%v became %v, in a picture of %v", c, p, size)
					}
				}
			}
		}
	})
}

// difference returns the average and maximum difference of two pictures' samples, premultiplied by alpha.
func difference(a, b *image.NRGBA) (mean float64, most int) {
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
