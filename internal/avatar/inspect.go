// Package avatar turns uploaded pictures into avatars and stores them.
//
//	file ──Inspect──▶ Plan ──Make──▶ Picture (at most 512 x 512) ──Folder.Put──▶ path
//
// Inspect reads only the headers and estimates the cost of decoding, so that a caller can reject a file, or wait until
// there is memory for it, before anything is decoded. A Plan is within MaxPixels, MaxMemory and MaxWork. The costs are
// those of the decoders used here, not of the formats. image/jpeg, for example, keeps four bytes for each of the 64
// coefficients of each block of a progressive JPEG, so a file of 300 bytes can claim 460 MB; and it visits all of them
// in each scan, so one of 88 KB can take ten seconds. jpeg.go, png.go, webp.go and vp8l.go each know the behaviour of their
// decoders; inspect.go has the measured times.
//
// Make decodes the file as planned and scales it down, for which shrink.go needs little memory.
//
// Nothing of an uploaded file is stored: a picture is decoded and encoded again, which drops metadata (such as where it
// was taken) and anything else in the file. Data after the end of a picture, where cameras put videos and further
// pictures, is not even read. The package imports no other package of this module.
package avatar

import (
	"errors"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"strings"
	"time"

	"golang.org/x/image/webp"
)

// Limits of a file and of its decoding.
const (
	// MaxBytes is the maximum size of a file.
	MaxBytes = 4 << 20

	// MaxPixels is the maximum number of pixels: 4096 x 4096, or a panorama of 12000 x 1398.
	MaxPixels = 16 << 20

	// MaxInputSide is the maximum width and height of an uploaded picture in pixels, which is WebP's maximum.
	MaxInputSide = 16384

	// MaxMemory is how many bytes Make may allocate for one picture. A progressive JPEG of MaxPixels with the usual
	// 4:2:0 sampling takes 120 MiB, the most of all files that phones and their apps write.
	MaxMemory = 128 << 20

	// MaxWork is how much CPU time Make may take for one picture.
	MaxWork = time.Second
)

// Errors of Inspect and Make.
var (
	// ErrPicture means that the file is not JPEG, PNG, WebP or GIF, or that it is damaged or cut off.
	ErrPicture = errors.New("avatar: not a valid JPEG, PNG, WebP or GIF picture")

	// ErrUnsupported means that the picture uses a rare feature that the decoder lacks, such as a JPEG with 12 bits per
	// sample or arithmetic coding.
	ErrUnsupported = errors.New("avatar: unsupported kind of picture")

	// ErrTooLarge means that the file is larger than MaxBytes.
	ErrTooLarge = errors.New("avatar: file too large")

	// ErrTooManyPixels means that the picture has more than MaxPixels, or a side longer than MaxInputSide.
	ErrTooManyPixels = errors.New("avatar: too many pixels")

	// ErrTooComplex means that decoding would take more than MaxMemory or MaxWork.
	ErrTooComplex = errors.New("avatar: picture too complex")
)

// Plan describes a file and what Make will take for it.
type Plan struct {
	Format        string // jpeg, png, gif or webp
	Width, Height int    // in pixels, before rotation by EXIF

	// Memory is an upper bound of the bytes that Make allocates, even if the garbage collector frees nothing. It
	// includes neither the file nor small, short-lived tables for decompression.
	Memory int64

	// Work is an estimate of the CPU time that Make takes on an otherwise idle core of a current server. Common
	// pictures take 60 to 100 % of it. It includes what headers show, such as every scan of a JPEG. A file can be slow
	// in ways that only decompression shows: the worst known case, a PNG whose data changes its Huffman codes every 40
	// bytes, takes 2.5 s for 4 MiB. The context of Make bounds such files.
	Work time.Duration

	frame image.Rectangle // the part of the Width x Height canvas that the first picture covers at most
}

// Inspect reads the headers of a file, without decoding its pixels, and returns what Make will take for it. It takes
// time linear in the size of the file. The error is one of the Err variables of this package.
func Inspect(file []byte) (Plan, error) {
	if len(file) > MaxBytes {
		return Plan{}, ErrTooLarge
	}
	name := formatOf(file)
	inspect := formats[name].inspect
	if inspect == nil {
		return Plan{}, ErrPicture
	}
	plan, err := inspect(file)
	if err != nil {
		return Plan{}, err
	}
	plan.Format = name
	addShrinkCosts(&plan)
	plan.Work += nanoseconds(plan.Memory, allocatedByte)
	if plan.Memory > MaxMemory || plan.Work > MaxWork {
		return Plan{}, ErrTooComplex
	}
	return plan, nil
}

// formats has for each format a function that returns the plan of decoding, without scaling and encoding, and the decoder.
var formats = map[string]struct {
	inspect func(file []byte) (Plan, error)
	decode  func(io.Reader) (image.Image, error)
}{
	"jpeg": {inspectJPEG, jpeg.Decode}, "png": {inspectPNG, png.Decode},
	"gif": {inspectGIF, gif.Decode}, "webp": {inspectWebP, webp.Decode},
}

// formatOf returns the format that the first bytes of a file announce, or "".
func formatOf(file []byte) string {
	start := string(file[:min(len(file), 12)])
	switch {
	case strings.HasPrefix(start, "\xff\xd8"):
		return "jpeg"
	case strings.HasPrefix(start, pngSignature):
		return "png"
	case strings.HasPrefix(start, "GIF87a"), strings.HasPrefix(start, "GIF89a"):
		return "gif"
	case strings.HasPrefix(start, "RIFF") && strings.HasSuffix(start, "WEBP"):
		return "webp"
	}
	return ""
}

// newPlan returns the plan of a picture that fills its canvas, without costs.
func newPlan(width, height int) (Plan, error) {
	return newPlanWithFrame(width, height, image.Rect(0, 0, width, height))
}

// newPlanWithFrame returns the plan of a picture that covers frame of a canvas, without costs.
func newPlanWithFrame(width, height int, frame image.Rectangle) (Plan, error) {
	canvas := image.Rect(0, 0, width, height)
	if frame.Empty() || !frame.In(canvas) {
		return Plan{}, ErrPicture
	}
	if width > MaxInputSide || height > MaxInputSide || int64(width)*int64(height) > MaxPixels {
		return Plan{}, ErrTooManyPixels
	}
	return Plan{Width: width, Height: height, frame: frame}, nil
}

// framePixels returns the number of pixels to decode.
func (p Plan) framePixels() int64 { return int64(p.frame.Dx()) * int64(p.frame.Dy()) }

// nanoseconds returns the time that n steps take, if each takes the given nanoseconds.
func nanoseconds[N int | int64](n N, each float64) time.Duration {
	return time.Duration(float64(n) * each)
}

// Measured costs in nanoseconds for a byte of the file, a pixel or a block of 8 x 8 samples. Each constant is the upper
// end of the measurements, for common pictures and for files made to be slow, on one idle core of an AMD EPYC server
// with Go 1.26 and golang.org/x/image 0.47.
const (
	jpegByte           = 50.0
	jpegBlock          = 250.0 // decoded, transformed and stored
	jpegTransform      = 150.0
	jpegStoredBlock    = 30.0 // visited by a scan of a progressive JPEG
	jpegCoefficient    = 1.0  // … and each coefficient of the scan's band
	jpegScan           = 1000.0
	jpegConvertedPixel = 8.0

	pngFileByte = 2.0
	pngDataByte = 20.0
	pngRowByte  = 3.0
	pngPixel    = 6.0

	gifByte  = 15.0
	gifPixel = 6.0

	vp8Byte     = 80.0
	vp8Pixel    = 20.0
	vp8lByte    = 20.0
	vp8lPixel   = 20.0
	alphaPixel  = 5.0
	shrunkPixel = 12.0
	encodeWork  = 40e6

	allocatedByte = 1.0 // clearing, and page faults
)

// Bytes that are allocated independent of the size of the picture.
const (
	jpegMemory = 24 << 10
	pngMemory  = 96 << 10
	gifMemory  = 32 << 10
	webpMemory = 16 << 10
)
