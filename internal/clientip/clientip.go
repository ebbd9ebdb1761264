// Package clientip finds the address of the client that sent a request, if the request came through trusted proxies.
//
//	proxies, err := clientip.ParseNetworks([]string{"10.0.0.0/8"})
//	// …
//	addr, ok := proxies.Client(r)
//	if !ok {
//		// a trusted proxy wrote an X-Forwarded-For that cannot be parsed
//	}
//	allowed := limiter.Allow(clientip.Key(addr))
//
// X-Forwarded-For counts only if the connection comes from a trusted proxy. Each proxy appends the address that it was
// called from, so the client is the rightmost address that does not belong to a trusted proxy; everything to the left
// of it was sent by the client and could be forged.
//
// The package imports nothing of this module.
package clientip

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// Networks are the networks of the trusted proxies. If there are none, every client is the peer of its connection.
type Networks []netip.Prefix

// ParseNetworks parses IP addresses, which become networks of one address, and networks in CIDR notation. IPv4 may be
// written in the form that is mapped to IPv6. The error quotes the first entry that is neither.
func ParseNetworks(entries []string) (Networks, error) {
	var networks Networks
	for _, entry := range entries {
		network, err := netip.ParsePrefix(strings.TrimSpace(entry))
		if err != nil {
			addr, _ := netip.ParseAddr(strings.TrimSpace(entry))
			if !addr.IsValid() || addr.Zone() != "" {
				return nil, fmt.Errorf("%q is neither an address nor a network such as 10.0.0.0/8", entry)
			}
			network = netip.PrefixFrom(addr, addr.BitLen())
		}
		if network.Addr().Is4In6() && network.Bits() >= 96 {
			network = netip.PrefixFrom(network.Addr().Unmap(), network.Bits()-96)
		}
		networks = append(networks, network)
	}
	return networks, nil
}

// UnmarshalText parses a list that is separated by commas.
func (n *Networks) UnmarshalText(text []byte) (err error) {
	*n, err = ParseNetworks(strings.Split(string(text), ","))
	return err
}

// Key returns the rate limit key of a client: its IPv4 address, or the /64 of its IPv6 address, because a client
// usually has a whole /64.
func Key(addr netip.Addr) string {
	if addr.Is6() {
		addr = netip.PrefixFrom(addr, 64).Masked().Addr()
	}
	return addr.String()
}

// SentDirectly reports whether the peer of a request's connection belongs to the networks.
func (n Networks) SentDirectly(r *http.Request) bool { return n.contains(peerOf(r)) }

// peerOf returns the zero Addr, which no network contains, if the peer is unknown.
func peerOf(r *http.Request) netip.Addr {
	peer, _ := netip.ParseAddrPort(r.RemoteAddr)
	return plainAddr(peer.Addr())
}

// Client returns the client of a request, without a zone and with IPv4 unmapped. If every address in X-Forwarded-For
// belongs to a trusted proxy, the client is the leftmost one. ok is false if an entry that a trusted proxy wrote cannot
// be parsed.
func (n Networks) Client(r *http.Request) (addr netip.Addr, ok bool) {
	return n.client(peerOf(r), r.Header["X-Forwarded-For"])
}

func (n Networks) client(peer netip.Addr, forwardedFor []string) (addr netip.Addr, ok bool) {
	addr = peer
	for i := len(forwardedFor) - 1; i >= 0; i-- {
		for rest, more := forwardedFor[i], true; more; {
			if !n.contains(addr) {
				return addr, true
			}
			var entry string
			if rest, entry, more = cutLast(rest); entry == "" {
				continue
			}
			if addr, ok = parseForwardedFor(entry); !ok {
				return netip.Addr{}, false
			}
		}
	}
	return addr, true
}

func (n Networks) contains(addr netip.Addr) bool {
	for _, network := range n {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

// cutLast cuts the last entry off a comma-separated list. more reports whether any entries are left.
func cutLast(list string) (rest, entry string, more bool) {
	comma := strings.LastIndexByte(list, ',')
	return list[:max(comma, 0)], strings.Trim(list[comma+1:], " \t"), comma >= 0
}

// parseForwardedFor parses an entry of X-Forwarded-For: an address or, as some proxies write it, an address with its
// port. An IPv6 address may stand in brackets, and must if a port follows.
func parseForwardedFor(entry string) (addr netip.Addr, ok bool) {
	if inner, ok := unwrap(entry, '"', '"'); ok {
		entry = strings.Trim(inner, " \t")
	}
	if inner, ok := unwrap(entry, '[', ']'); ok {
		addr, err := netip.ParseAddr(inner)
		return plainAddr(addr), err == nil && addr.Is6()
	}
	if withPort, err := netip.ParseAddrPort(entry); err == nil {
		return plainAddr(withPort.Addr()), true
	}
	addr, err := netip.ParseAddr(entry)
	return plainAddr(addr), err == nil
}

// unwrap returns the text between two delimiters.
func unwrap(s string, first, last byte) (inner string, ok bool) {
	if n := len(s); n >= 2 && s[0] == first && s[n-1] == last {
		return s[1 : n-1], true
	}
	return "", false
}

// plainAddr drops the zone of an address and unmaps IPv4.
func plainAddr(addr netip.Addr) netip.Addr { return addr.WithZone("").Unmap() }
