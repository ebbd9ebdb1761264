//go:build !linux

package avatar

import (
	"errors"
	"fmt"
)

// Disk returns errors.ErrUnsupported: it is not implemented on this system.
func (f *Folder) Disk() (Disk, error) { return Disk{}, fmt.Errorf("avatar: %w", errors.ErrUnsupported) }
