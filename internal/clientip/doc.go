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
