//go:build !linux

package server

import (
	"errors"
	"net"
)

// refuseHandshakes is for Linux. Elsewhere a connection that is made right when the port is closed may be reset.
func refuseHandshakes(net.Listener) error { return errors.ErrUnsupported }
