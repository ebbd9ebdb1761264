//go:build !linux

package process

import "syscall"

// Supported reports whether this system can pause processes and end them with their parent.
const (
	Supported    = false
	pauseSignal  = syscall.Signal(0)
	resumeSignal = syscall.Signal(0)
)

func attributes(*account) *syscall.SysProcAttr { return nil }
