package handlers

import (
	"crypto/sha256"
	"net"
	"net/http"

	"github.com/go-chi/chi/v5/middleware"
	"github.com/go-chi/httprate"

	"wxlogin/session"
)

// refusal is a bound of this server's own that a request went beyond, as it stands in the metrics.
type refusal string

const (
	overload         refusal = "logins_in_flight"
	loginRate        refusal = "login_rate"
	updateRate       refusal = "update_rate"
	failedUpdateRate refusal = "failed_update_rate"
	uploadsInFlight  refusal = "uploads_in_flight"
)

// refused counts a refusal and gives the failure that tells the client.
func (p *public) refused(why refusal) error {
	p.metrics.refusal(why)
	switch why {
	case overload:
		return failure{code: codeWeChatUnavailable, detail: "As many logins wait for WeChat as this server carries."}
	case uploadsInFlight:
		return failure{code: codeStorageUnavailable, detail: "As many pictures are under way as this server carries."}
	}
	return failure{code: codeRateLimited}
}

// clientKey names a client for limits by address: its IPv4 address, or the /64 of its IPv6 address. Where a trusted proxy
// does not tell one, that is the proxy's own.
func clientKey(r *http.Request) string {
	ip := middleware.GetClientIP(r.Context())
	if ip == "" {
		ip, _, _ = net.SplitHostPort(r.RemoteAddr)
	}
	return httprate.CanonicalizeIP(ip)
}

// sessionKey names a session for limits. The token itself stays out of every counter.
func sessionKey(token string) string {
	hash := sha256.Sum256([]byte(token))
	return string(hash[:])
}

// userKey names a user for limits. An appid has no colon.
func userKey(sess session.Session) string { return sess.AppID + ":" + sess.OpenID }
