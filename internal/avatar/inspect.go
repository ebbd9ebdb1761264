package avatar

import (
	"errors"
	"image"
	"strings"
	"time"
)

// What a file may take, so that its price is known before it is paid.
const (
	// MaxBytes is the size of the largest file.
	MaxBytes = 4 << 20

	// MaxPixels is how many pixels a picture may have: 4096 x 4096, or a panorama of 12000 x 1398.
	MaxPixels = 16 << 20

	// MaxGivenSide is how wide or high a picture may be, in pixels: as much as WebP can say.
	MaxGivenSide = 16384

	// MaxMemory is what Make may allocate for one picture. A progressive JPEG of MaxPixels with the usual 4:2:0 sampling takes
	// 120 MiB, the most of all that phones and their programs write.
	MaxMemory = 128 << 20

	// MaxWork is what Make may take of one core for one picture.
	MaxWork = time.Second
)

// Every fault of a file is one of these.
var (
	// ErrPicture: the file is not JPEG, PNG, WebP or GIF, or it is damaged or cut off.
	ErrPicture = errors.New("avatar: not a whole JPEG, PNG, WebP or GIF picture")

	// ErrUnsupported: the picture is of a rare kind that cannot be decoded, such as a JPEG with 12 bits a sample or
	// arithmetic coding.
	ErrUnsupported = errors.New("avatar: a kind of picture that is not supported")

	// ErrTooLarge: the file is larger than MaxBytes.
	ErrTooLarge = errors.New("avatar: the file is too large")

	// ErrTooManyPixels: the picture has more than MaxPixels, or a side is longer than MaxGivenSide.
	ErrTooManyPixels = errors.New("avatar: the picture has too many pixels")

	// ErrTooComplex: decoding would take more than MaxMemory or MaxWork.
	ErrTooComplex = errors.New("avatar: the picture is too complex")
)

// Plan is what a file contains, and what Make will take for it.
type Plan struct {
	Format        string // jpeg, png, gif or webp
	Width, Height int    // in pixels, as the file says; EXIF may turn the picture later

	// Memory is how many bytes Make allocates at most, even if the garbage collector frees nothing meanwhile. It includes
	// neither the file nor small tables for decompression that are dropped at once.
	Memory int64

	// Work is an estimate of the CPU time that Make takes on one core of a server of today that is not busy otherwise. Common
	// pictures take 60 to 100 % of it. It counts what headers show, such as every scan of a JPEG. A file can be slow in ways
	// that only decompression shows: the worst that is known, a PNG whose data changes its Huffman codes every 40 bytes, takes
	// 2.5 s for 4 MiB. The context of Make bounds these.
	Work time.Duration

	frame image.Rectangle // of the canvas of Width x Height: the part that the first picture covers
}

// Inspect reads the headers of a file, without decoding its pixels, and returns what Make will take for it. The time is
// linear in the size of the file. The error is one of this package's.
func Inspect(file []byte) (Plan, error) {
	if len(file) > MaxBytes {
		return Plan{}, ErrTooLarge
	}
	inspect := inspectors[formatOf(file)]
	if inspect == nil {
		return Plan{}, ErrPicture
	}
	plan, err := inspect(file)
	if err != nil {
		return Plan{}, err
	}
	plan.Format = formatOf(file)
	plan.Memory += shrinkMemory(plan)
	plan.Work += shrinkWork(plan) + nanoseconds(plan.Memory, allocatedByte)
	if plan.Memory > MaxMemory || plan.Work > MaxWork {
		return Plan{}, ErrTooComplex
	}
	return plan, nil
}

// inspectors return a plan of decoding alone.
var inspectors = map[string]func(file []byte) (Plan, error){
	"jpeg": inspectJPEG, "png": inspectPNG, "gif": inspectGIF, "webp": inspectWebP,
}

// formatOf returns the format that a file's first bytes announce, or "".
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
	return newPlanOf(width, height, image.Rect(0, 0, width, height))
}

// newPlanOf returns the plan of a picture that covers frame of a canvas, without costs.
func newPlanOf(width, height int, frame image.Rectangle) (Plan, error) {
	canvas := image.Rect(0, 0, width, height)
	if frame.Empty() || !frame.In(canvas) {
		return Plan{}, ErrPicture
	}
	if width > MaxGivenSide || height > MaxGivenSide || int64(width)*int64(height) > MaxPixels {
		return Plan{}, ErrTooManyPixels
	}
	return Plan{Width: width, Height: height, frame: frame}, nil
}

// framePixels returns how many pixels are decoded.
func (p Plan) framePixels() int64 { return int64(p.frame.Dx()) * int64(p.frame.Dy()) }

// nanoseconds returns the time that n steps take.
func nanoseconds[N int | int64](n N, each float64) time.Duration {
	return time.Duration(float64(n) * each)
}

// Each constant is the upper end of what was measured for common pictures and for files made to be slow, on one core of an
// AMD EPYC server that had nothing else to do, with Go 1.26 and golang.org/x/image 0.47: nanoseconds for a byte of the
// file, a pixel or a block of 8 x 8 samples.
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

	allocatedByte = 1.0 // to be cleared, and for page faults
)

// Bytes that are allocated whatever the size of the picture.
const (
	jpegMemory = 24 << 10
	pngMemory  = 96 << 10
	gifMemory  = 32 << 10
	webpMemory = 16 << 10
)
