//go:build !linux

package main

import "syscall"

// Only Linux lets children die with their parent: elsewhere this command refuses to run.
const (
	supported    = false
	pauseSignal  = syscall.Signal(0)
	resumeSignal = syscall.Signal(0)
)

func childAttributes(*account) *syscall.SysProcAttr { return nil }
