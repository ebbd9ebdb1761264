// Package avatar makes avatars of pictures that people upload, and keeps them.
//
//	bytes ──Make──▶ Picture (at most 512 x 512, encoded anew) ──Folder.Put──▶ address
//
// Nothing of what was uploaded is kept as it came: a picture is decoded and encoded again, so that metadata (where it was
// taken) and whatever else was hidden in the file is gone. Its name is the hash of its content. It imports nothing else of
// this module.
package avatar
