package avatar

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Disk returns the size and free space of the folder's file system.
func (f *Folder) Disk() (Disk, error) {
	dir, err := f.root.Open(".")
	if err != nil {
		return Disk{}, fmt.Errorf("avatar: %w", err)
	}
	defer dir.Close()
	var s unix.Statfs_t
	if err := unix.Fstatfs(int(dir.Fd()), &s); err != nil {
		return Disk{}, fmt.Errorf("avatar: %w", err)
	}
	block := uint64(s.Bsize)
	return Disk{Size: s.Blocks * block, Free: s.Bavail * block}, nil
}
