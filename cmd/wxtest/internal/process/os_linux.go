package process

import "syscall"

// Supported reports whether this system can pause processes and end them with their parent.
const (
	Supported    = true
	pauseSignal  = syscall.SIGSTOP
	resumeSignal = syscall.SIGCONT
)

// attributes let a child die with this process and keep a terminal's Ctrl-C from it. The kernel forgets the former if a child
// changes its user itself, so it is started as that user.
func attributes(owner *account) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if owner != nil {
		a.Credential = &syscall.Credential{Uid: owner.uid, Gid: owner.gid}
	}
	return a
}
