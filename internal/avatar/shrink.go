package avatar

import (
	"context"
	"image"
	"image/draw"
	"time"
)

// bandPixels is how many pixels of the given picture are converted at a time.
const bandPixels = 64 << 10

// shrunkSize returns the size that a picture gets, so that it fits into MaxSide; smaller ones stay as they are.
func shrunkSize(w, h int) (int, int) {
	if longest := max(w, h); longest > MaxSide {
		return max(1, w*MaxSide/longest), max(1, h*MaxSide/longest)
	}
	return w, h
}

// shrink scales the canvas of a plan down. The canvas is transparent outside of the picture's frame.
func shrink(ctx context.Context, given image.Image, plan Plan) (*image.NRGBA, error) {
	w, h := shrunkSize(plan.Width, plan.Height)
	small := image.NewNRGBA(image.Rect(0, 0, w, h))
	if w == plan.Width && h == plan.Height {
		drawAt(small, plan.frame.Min, given)
		return small, nil
	}
	s := newScaler(small, plan.Width, plan.Height)
	band := image.NewRGBA(image.Rect(0, 0, plan.Width, bandRows(plan.Width)))
	for y := 0; y < plan.Height; y += band.Rect.Dy() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		clear(band.Pix)
		drawAt(band, plan.frame.Min.Sub(image.Pt(0, y)), given)
		for row := range min(band.Rect.Dy(), plan.Height-y) {
			s.add(band.Pix[row*band.Stride:][:band.Stride])
		}
	}
	return small, nil
}

func bandRows(width int) int { return max(1, bandPixels/width) }

// drawAt copies a picture so that its upper left corner comes to a place of dst.
func drawAt(dst draw.Image, at image.Point, picture image.Image) {
	from := picture.Bounds()
	draw.Draw(dst, from.Sub(from.Min).Add(at), picture, from.Min, draw.Src)
}

// shrinkWork returns what Make takes after decoding.
func shrinkWork(plan Plan) time.Duration {
	return nanoseconds(int64(plan.Width)*int64(plan.Height), shrunkPixel) + nanoseconds(1, encodeWork)
}

// shrinkMemory returns what Make allocates after decoding.
func shrinkMemory(plan Plan) int64 {
	w, h := shrunkSize(plan.Width, plan.Height)
	memory := encodeMemory(plan.Format, int64(w)*int64(h))
	if w != plan.Width || h != plan.Height {
		memory += scalerMemory(plan.Width, plan.Height) + 4*int64(plan.Width)*int64(bandRows(plan.Width))
	}
	return memory
}

// encodeMemory returns what the small picture takes, a turned copy of it, and encoding.
func encodeMemory(format string, pixels int64) int64 {
	const pixel = 4
	memory := 2 * pixel * pixels
	if opaque := format == "jpeg"; opaque {
		return memory + 64<<10 + pixel*pixels // the output is smaller than the pixels, its buffer doubles
	}
	const png = 1400 << 10 // its compressor
	return memory + png + 4*pixel*pixels
}
