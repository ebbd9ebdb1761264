package server

import (
	"net/http"
	"net/netip"
)

// fromProxy reports whether a request comes from one of these networks.
func fromProxy(networks []netip.Prefix) func(*http.Request) bool {
	return func(r *http.Request) bool {
		from, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil {
			return false
		}
		for _, network := range networks {
			if network.Contains(from.Addr().Unmap()) {
				return true
			}
		}
		return false
	}
}

// anybody is for the internal listener, which only our own services reach.
func anybody(*http.Request) bool { return true }
