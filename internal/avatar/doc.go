// Package avatar turns uploaded pictures into avatars and stores them.
//
//	file ──Inspect──▶ Plan ──Make──▶ Picture (at most 512 x 512) ──Folder.Put──▶ path
//
// Inspect reads only the headers and estimates the cost of decoding, so that a caller can reject a file, or wait until
// there is memory for it, before anything is decoded. A Plan is within MaxPixels, MaxMemory and MaxWork. The costs are
// those of the decoders used here, not of the formats. image/jpeg, for example, keeps four bytes for each of the 64
// coefficients of each block of a progressive JPEG, so a file of 300 bytes can claim 460 MB; and it visits all of them
// in each scan, so one of 88 KB can take ten seconds. jpeg.go, png.go, gif.go, webp.go and vp8l.go each know the
// behaviour of their decoder; inspect.go has the measured times.
//
// Make decodes the file as planned and scales it down, for which picture.go and scaler.go need memory for a few rows
// only.
//
// Nothing of an uploaded file is stored: a picture is decoded and encoded again, which drops metadata (such as where it
// was taken) and anything else in the file. Data after the end of a picture, where cameras put videos and further
// pictures, is not even read. The package imports no other package of this module.
package avatar
