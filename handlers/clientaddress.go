package handlers

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
)

// unreadableClient is the key of all clients whose address a trusted proxy has written in a way that cannot be read.
const unreadableClient = "unreadable"

// clientAddresses finds the client of a request, for limits by address.
type clientAddresses struct {
	trusted networks
	logger  *slog.Logger
	metrics *Metrics
	warned  atomic.Bool
}

// middleware finds the client once for each request.
func (c *clientAddresses) middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scopeOf(r.Context()).client = c.key(r)
		next.ServeHTTP(w, r)
	})
}

// clientKey names a client for limits by address: its IPv4 address, or the /64 of its IPv6 address. The route needs the
// middleware of clientAddresses.
func clientKey(r *http.Request) string { return scopeOf(r.Context()).client }

func (c *clientAddresses) key(r *http.Request) string {
	peer, _ := netip.ParseAddrPort(r.RemoteAddr)
	addr, ok := c.trusted.client(plainAddr(peer.Addr()), r.Header["X-Forwarded-For"])
	if !ok {
		c.metrics.unreadableForwardedFor.Inc()
		if !c.warned.Swap(true) {
			c.logger.WarnContext(r.Context(),
				"a trusted proxy sends an X-Forwarded-For that cannot be read: such requests share one LOGIN_RATE_LIMIT (logged once)")
		}
		return unreadableClient
	}
	if addr.Is6() { // a client has a whole /64
		addr = netip.PrefixFrom(addr, 64).Masked().Addr()
	}
	return addr.String()
}

// networks are those of the trusted proxies.
type networks []netip.Prefix

// ParseNetworks reads addresses and networks (CIDR), of IPv4 also in the form that is mapped to IPv6.
func ParseNetworks(entries []string) ([]netip.Prefix, error) {
	var parsed networks
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
		parsed = append(parsed, network)
	}
	return parsed, nil
}

func (n networks) contain(addr netip.Addr) bool {
	for _, network := range n {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

// client returns the client of a request that came from peer: the rightmost address in X-Forwarded-For that is no trusted
// proxy's, because each proxy appends the address that it was called from. What stands further left was sent by the client.
// If all are trusted, the leftmost one has made the request. The header counts only if peer is trusted.
//
// It is not ok if a trusted proxy's entry cannot be read.
func (n networks) client(peer netip.Addr, forwardedFor []string) (addr netip.Addr, ok bool) {
	addr = peer
	for i := len(forwardedFor) - 1; i >= 0; i-- {
		for rest, more := forwardedFor[i], true; more; {
			if !n.contain(addr) {
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

// cutLast takes the last entry from a list with commas. more reports whether there is a rest.
func cutLast(list string) (rest, entry string, more bool) {
	comma := strings.LastIndexByte(list, ',')
	return list[:max(comma, 0)], strings.Trim(list[comma+1:], " \t"), comma >= 0
}

// parseForwardedFor reads an entry of X-Forwarded-For: an address, or as some proxies write it, an address with its port. An
// IPv6 address may stand in brackets, and must if a port follows.
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

// unwrap takes what stands between two bytes at the ends.
func unwrap(s string, first, last byte) (inner string, ok bool) {
	if n := len(s); n >= 2 && s[0] == first && s[n-1] == last {
		return s[1 : n-1], true
	}
	return "", false
}

// plainAddr is an address without its zone, and an IPv4 address that is mapped to IPv6 as itself.
func plainAddr(addr netip.Addr) netip.Addr { return addr.WithZone("").Unmap() }
