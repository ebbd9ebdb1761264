// Package avatar makes avatars of pictures that people upload, and keeps them.
//
//	file ──Inspect──▶ Plan ──Make──▶ Picture (at most 512 x 512) ──Folder.Put──▶ address
//
// Inspect reads the headers alone and says what the rest will take, so that a caller can refuse a file, or wait until there
// is memory for it, before anything is decoded. A plan has at most MaxPixels, MaxMemory and MaxWork. These are budgets of the
// decoders that are used here, not of the formats: image/jpeg, for example, keeps four bytes for each of the 64 coefficients
// of each block of a progressive JPEG, so that a file of 300 bytes can claim 460 MB, and goes through all of them for each scan, so that
// one of 88 KB can take ten seconds. jpeg.go, png.go, gif.go, webp.go and vp8l.go each know what their decoder does; costs.go
// has the measured times.
//
// Make decodes the file as it was planned. shrink.go and scaler.go need no more memory than a few rows for it.
//
// Nothing of what was uploaded is kept: a picture is decoded and encoded again, so that metadata (where it was taken) and
// whatever else is in the file is gone. So is what follows a picture, which is not even looked at: cameras put videos and
// other pictures there. The package imports nothing else of this module.
package avatar
