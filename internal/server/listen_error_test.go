package server

import (
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestListenError(t *testing.T) {
	of := func(errno syscall.Errno) error {
		return &net.OpError{Op: "listen", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80}, Err: os.NewSyscallError("bind", errno)}
	}
	for name, tt := range map[string]struct {
		err           error
		misconfigured bool
	}{
		"taken":             {of(syscall.EADDRINUSE), false},
		"not there yet":     {of(syscall.EADDRNOTAVAIL), false},
		"not permitted":     {of(syscall.EACCES), true},
		"unknown host":      {&net.OpError{Op: "listen", Net: "tcp", Err: &net.DNSError{Name: "x", IsNotFound: true}}, true},
		"no name server":    {&net.OpError{Op: "listen", Net: "tcp", Err: &net.DNSError{Name: "x", IsTemporary: true}}, false},
		"too many files":    {of(syscall.EMFILE), false},
		"operation refused": {of(syscall.EPERM), true},
	} {
		err := listenError("LISTEN_ADDR", tt.err)
		if errors.Is(err, ErrMisconfigured) != tt.misconfigured || !strings.HasPrefix(err.Error(), "LISTEN_ADDR: listen tcp") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
