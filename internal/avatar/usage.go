package avatar

import "context"

// Usage is what the files of a folder or bucket take.
type Usage struct {
	Files int
	Bytes int64
}

// Measure lists all files. With a million of them that takes seconds.
func Measure(ctx context.Context, files Files) (u Usage, err error) {
	for file, err := range files.Files(ctx) {
		if err != nil {
			return Usage{}, err
		}
		u.Files++
		u.Bytes += file.Size
	}
	return u, nil
}

// Disk is the size of a file system, and what is free on it for this process, in bytes.
type Disk struct{ Size, Free uint64 }
