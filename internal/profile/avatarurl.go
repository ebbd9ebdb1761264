package profile

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// MaxAvatarURL is the length of the longest address that is stored, in characters.
const MaxAvatarURL = 1024

// AvatarURL returns the address of an avatar as it is stored, and false if it is none that other people's phones can load: it
// must lead by https to a server with a public name. The scheme and the host come back in lower case and without the default
// port; an http address of WeChat's own pictures comes back as https, which those servers speak too.
//
// It refuses what chooseAvatar gives, which is a file on the phone (wxfile://tmp…, http://tmp/…), IP addresses, names without
// a dot or of the local network, a user name in the address, and all characters that RFC 3986 does not have in an
// address or that end an attribute or a string in HTML and CSS.
func AvatarURL(given string) (address string, ok bool) {
	given = strings.TrimSpace(given)
	if len(given) > MaxAvatarURL || strings.ContainsFunc(given, notInURL) {
		return "", false
	}
	u, err := url.Parse(given)
	if err != nil || u.Opaque != "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
		return "", false
	}
	host, ok := publicHost(u)
	if !ok {
		return "", false
	}
	// What follows the host stays as it was given: net/url might write it differently.
	_, rest, _ := strings.Cut(given, "//")
	rest = rest[len(u.Host):]
	if address = "https://" + host + rest; len(address) > MaxAvatarURL { // https is one character more than http
		return "", false
	}
	return address, true
}

// notInURL reports whether a character is not allowed in an address.
func notInURL(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"'<>\\^`{|}", r) }

// publicName is a domain name of at least two labels. The last one begins with a letter, as all top-level domains do: so
// that no form of an IP address is a name.
var publicName = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])$`)

// localNames are top-level domains that no public server has (RFC 6761, RFC 6762, RFC 7686; internal is ICANN's for private use).
var localNames = []string{".localhost", ".local", ".internal", ".invalid", ".onion", ".home.arpa"}

// weChatHosts serve the avatars of WeChat's users.
var weChatHosts = []string{"qlogo.cn", "qpic.cn", "c2c.wechat.com"}

// publicHost returns the host of an address, with its port unless that is the scheme's own.
func publicHost(u *url.URL) (host string, ok bool) {
	name, port := strings.ToLower(u.Hostname()), u.Port()
	if len(name) > 253 || !publicName.MatchString(name) || strings.HasSuffix(u.Host, ":") {
		return "", false
	}
	for _, local := range localNames {
		if strings.HasSuffix("."+name, local) {
			return "", false
		}
	}
	if u.Scheme == "http" {
		return name, isWeChatHost(name) && (port == "" || port == "80")
	}
	if port == "" || port == "443" {
		return name, true
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return name + ":" + strconv.FormatUint(n, 10), err == nil && n > 0
}

func isWeChatHost(name string) bool {
	for _, host := range weChatHosts {
		if strings.HasSuffix("."+name, "."+host) {
			return true
		}
	}
	return false
}
