package profile

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// MaxAvatarURL is the maximum length of an avatar URL in characters.
const MaxAvatarURL = 1024

// AvatarURL returns the URL of an avatar in the form in which it is stored. ok is false if other users' phones could
// not load it: it must be an https URL on a host with a public name. The result has scheme and host in lower case and
// no default port. An http URL of WeChat's own pictures becomes https, which those hosts serve too.
//
// It rejects what chooseAvatar returns, which is a file on the phone (wxfile://tmp…, http://tmp/…), IP addresses, names
// without a dot or of a local network, URLs with a user name, and every character that RFC 3986 does not allow in a URL
// or that ends an attribute or a string in HTML or CSS.
func AvatarURL(raw string) (address string, ok bool) {
	raw = strings.TrimSpace(raw)
	if len(raw) > MaxAvatarURL || strings.ContainsFunc(raw, isForbiddenInURL) {
		return "", false
	}
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
		return "", false
	}
	host, ok := publicHost(u)
	if !ok {
		return "", false
	}
	// The part after the host stays unchanged; net/url might write it differently.
	_, rest, _ := strings.Cut(raw, "//")
	rest = rest[len(u.Host):]
	if address = "https://" + host + rest; len(address) > MaxAvatarURL { // https is one character more than http
		return "", false
	}
	return address, true
}

// isForbiddenInURL reports whether a character is not allowed in a URL.
func isForbiddenInURL(r rune) bool {
	return r <= ' ' || r > '~' || strings.ContainsRune("\"'<>\\^`{|}", r)
}

// publicName matches a domain name of at least two labels. The last one begins with a letter, as all top-level domains
// do, so that no form of an IP address matches.
var publicName = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])$`)

// localDomains are domains that no public host has (RFC 6761, RFC 6762, RFC 7686; internal is ICANN's for private use).
var localDomains = []string{".localhost", ".local", ".internal", ".invalid", ".onion", ".home.arpa"}

// weChatHosts are the domains of avatars of WeChat's users.
var weChatHosts = []string{".qlogo.cn", ".qpic.cn", ".c2c.wechat.com"}

// publicHost returns the host of a URL, with its port unless that is the default. ok is false if the host is not
// public.
func publicHost(u *url.URL) (host string, ok bool) {
	name, port := strings.ToLower(u.Hostname()), u.Port()
	if len(name) > 253 || !publicName.MatchString(name) || strings.HasSuffix(u.Host, ":") || isBelow(name, localDomains) {
		return "", false
	}
	if u.Scheme == "http" {
		return name, isBelow(name, weChatHosts) && (port == "" || port == "80")
	}
	if port == "" || port == "443" {
		return name, true
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return name + ":" + strconv.FormatUint(n, 10), err == nil && n > 0
}

// isBelow reports whether a host belongs to one of the domains.
func isBelow(name string, domains []string) bool {
	return slices.ContainsFunc(domains, func(domain string) bool { return strings.HasSuffix("."+name, domain) })
}
