//go:build !linux

package server

import (
	"errors"
	"net"
)

// dropNewConnections works on Linux only. Elsewhere, a connection that is made just before the port is closed may be
// reset.
func dropNewConnections(net.Listener) error { return errors.ErrUnsupported }
