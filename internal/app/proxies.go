package app

import (
	"net/http"
	"net/netip"
)

// fromProxy tells requests that come from one of these networks (CIDR).
func fromProxy(prefixes []string) func(*http.Request) bool {
	var networks []netip.Prefix
	for _, prefix := range prefixes {
		networks = append(networks, netip.MustParsePrefix(prefix)) // proxyPrefixes made it
	}
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
