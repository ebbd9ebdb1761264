package avatar

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
