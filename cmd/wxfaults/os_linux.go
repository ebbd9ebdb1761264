package main

import "syscall"

const (
	supported    = true
	pauseSignal  = syscall.SIGSTOP
	resumeSignal = syscall.SIGCONT
)

// childAttributes lets a child die with this process, whatever ends it, and keeps a terminal's Ctrl-C from it. The kernel
// forgets the former where a child changes its user by itself: so it is started as that user.
func childAttributes(owner *account) *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if owner != nil {
		attributes.Credential = &syscall.Credential{Uid: owner.uid, Gid: owner.gid}
	}
	return attributes
}
