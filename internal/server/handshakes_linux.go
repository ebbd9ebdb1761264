package server

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// Where TCP's flags are in its header (RFC 9293, section 3.1), and which of them tell the first packet of a connection.
const (
	tcpFlags = 13
	tcpSYN   = 0x02
	tcpACK   = 0x10
)

// onlyBegunHandshakes is a socket filter (classic BPF) that drops SYN packets and passes all others.
var onlyBegunHandshakes = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: tcpFlags},
	{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: tcpSYN | tcpACK},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: tcpSYN, Jt: 0, Jf: 1},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	{Code: unix.BPF_RET | unix.BPF_K, K: 1<<32 - 1},
}

// refuseHandshakes keeps new connections from being begun, while those begun are still completed and taken. Without it the
// kernel would go on making connections until the port is closed, and then reset those that were not taken yet. A
// client's next SYN, a second later, finds the port closed.
func refuseHandshakes(l net.Listener) error {
	socket, ok := l.(syscall.Conn)
	if !ok {
		return errors.ErrUnsupported
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	program := unix.SockFprog{Len: uint16(len(onlyBegunHandshakes)), Filter: &onlyBegunHandshakes[0]}
	var attached error
	err = raw.Control(func(fd uintptr) {
		attached = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program)
	})
	return errors.Join(err, attached)
}
