package clientip

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

func mustParse(t testing.TB, entries ...string) Networks {
	t.Helper()
	n, err := ParseNetworks(entries)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestNetworks_Client(t *testing.T) {
	trusted := mustParse(t, "10.0.0.0/8", "192.0.2.1", "2001:db8:ffff::/48", "::ffff:172.16.0.0/108")
	for name, test := range map[string]struct {
		peer   string
		header []string
		want   string // "": it cannot be parsed
	}{
		"untrusted peer":            {"198.51.100.7", []string{"203.0.113.3"}, "198.51.100.7"},
		"untrusted peer, garbage":   {"198.51.100.7", []string{"unknown"}, "198.51.100.7"},
		"no header":                 {"10.0.0.1", nil, "10.0.0.1"},
		"empty header":              {"10.0.0.1", []string{""}, "10.0.0.1"},
		"only separators":           {"10.0.0.1", []string{" , ,", "\t"}, "10.0.0.1"},
		"IPv4":                      {"10.0.0.1", []string{"203.0.113.3"}, "203.0.113.3"},
		"IPv4 with port":            {"10.0.0.1", []string{"203.0.113.3:5000"}, "203.0.113.3"},
		"IPv6":                      {"10.0.0.1", []string{"2001:db8::1"}, "2001:db8::1"},
		"IPv6 in brackets":          {"10.0.0.1", []string{"[2001:db8::1]"}, "2001:db8::1"},
		"IPv6 with port":            {"10.0.0.1", []string{"[2001:db8::1]:443"}, "2001:db8::1"},
		"IPv6 with zone":            {"10.0.0.1", []string{"fe80::1%eth0"}, "fe80::1"},
		"IPv6 with zone and port":   {"10.0.0.1", []string{"[fe80::1%eth0]:443"}, "fe80::1"},
		"mapped":                    {"10.0.0.1", []string{"::ffff:203.0.113.3"}, "203.0.113.3"},
		"mapped, hexadecimal":       {"10.0.0.1", []string{"::ffff:cb00:7103"}, "203.0.113.3"},
		"mapped with port":          {"10.0.0.1", []string{"[::ffff:203.0.113.3]:443"}, "203.0.113.3"},
		"mapped with zone":          {"10.0.0.1", []string{"::ffff:203.0.113.3%eth0"}, "203.0.113.3"},
		"quotes":                    {"10.0.0.1", []string{`"203.0.113.3"`}, "203.0.113.3"},
		"quotes around a port":      {"10.0.0.1", []string{`"[2001:db8::1]:443"`}, "2001:db8::1"},
		"spaces":                    {"10.0.0.1", []string{"\t 203.0.113.3 \t"}, "203.0.113.3"},
		"empty entries":             {"10.0.0.1", []string{"203.0.113.3,, ,"}, "203.0.113.3"},
		"what the client sent":      {"10.0.0.1", []string{"192.0.2.99, 203.0.113.3"}, "203.0.113.3"},
		"garbage from the client":   {"10.0.0.1", []string{"<script>, 203.0.113.3"}, "203.0.113.3"},
		"trusted proxies":           {"10.0.0.1", []string{"198.51.100.7, 203.0.113.3:80, 10.0.0.3:1234, 192.0.2.1"}, "203.0.113.3"},
		"trusted IPv6 proxy":        {"2001:db8:ffff::1", []string{"203.0.113.3, [2001:db8:ffff::2]:80"}, "203.0.113.3"},
		"mapped peer":               {"::ffff:10.0.0.1", []string{"203.0.113.3"}, "203.0.113.3"},
		"mapped trusted proxy":      {"10.0.0.1", []string{"203.0.113.3, ::ffff:10.0.0.2"}, "203.0.113.3"},
		"proxy in a mapped network": {"172.31.0.1", []string{"203.0.113.3, 172.16.0.9"}, "203.0.113.3"},
		"beyond a mapped network":   {"172.32.0.1", []string{"203.0.113.3"}, "172.32.0.1"},
		"several lines":             {"10.0.0.1", []string{"198.51.100.7", "203.0.113.3", "10.0.0.2"}, "203.0.113.3"},
		"several lines, a gap":      {"10.0.0.1", []string{"203.0.113.3, ", "", "10.0.0.2"}, "203.0.113.3"},
		"all trusted":               {"10.0.0.1", []string{"10.0.0.4, 10.0.0.3", "10.0.0.2"}, "10.0.0.4"},

		"unknown":                    {"10.0.0.1", []string{"unknown"}, ""},
		"hidden":                     {"10.0.0.1", []string{"_hidden"}, ""},
		"garbage of a trusted proxy": {"10.0.0.1", []string{"203.0.113.3, unknown, 10.0.0.2"}, ""},
		"garbage in the last line":   {"10.0.0.1", []string{"203.0.113.3", "unknown"}, ""},
		"a name":                     {"10.0.0.1", []string{"localhost:80"}, ""},
		"no port":                    {"10.0.0.1", []string{"203.0.113.3:"}, ""},
		"a great port":               {"10.0.0.1", []string{"203.0.113.3:65536"}, ""},
		"a port of letters":          {"10.0.0.1", []string{"203.0.113.3:http"}, ""},
		"IPv4 in brackets":           {"10.0.0.1", []string{"[203.0.113.3]"}, ""},
		"an open bracket":            {"10.0.0.1", []string{"[2001:db8::1"}, ""},
		"something after a bracket":  {"10.0.0.1", []string{"[2001:db8::1]443"}, ""},
		"empty brackets":             {"10.0.0.1", []string{"[]"}, ""},
		"empty quotes":               {"10.0.0.1", []string{`""`}, ""},
		"one quote":                  {"10.0.0.1", []string{`"203.0.113.3`}, ""},
		"a network":                  {"10.0.0.1", []string{"203.0.113.0/24"}, ""},
		"leading zeros":              {"10.0.0.1", []string{"203.0.113.003"}, ""},
		"spaces between":             {"10.0.0.1", []string{"203.0.113.3 198.51.100.7"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			addr, ok := trusted.client(plainAddr(netip.MustParseAddr(test.peer)), test.header)
			if ok != (test.want != "") || ok && addr.String() != test.want {
				t.Errorf("got %v, %v; want %q", addr, ok, test.want)
			}
		})
	}
}

func TestParseNetworks(t *testing.T) {
	for entry, want := range map[string]string{
		"10.0.0.0/8": "10.0.0.0/8", " 192.0.2.7 ": "192.0.2.7/32", "::1": "::1/128", "2001:db8::/32": "2001:db8::/32",
		"::ffff:10.0.0.0/104": "10.0.0.0/8", "::ffff:192.0.2.7": "192.0.2.7/32", "::/0": "::/0",
		"proxy": "", "": "", "fe80::1%eth0": "", "10.0.0.0/33": "", "10.0.0.0/": "", "fe80::%eth0/64": "",
	} {
		got, err := ParseNetworks([]string{entry})
		if (err == nil) != (want != "") || err == nil && got[0].String() != want {
			t.Errorf("%q: %v, %v; want %q", entry, got, err, want)
		}
	}
}

// A client cannot change its address by sending an X-Forwarded-For to which proxies append.
func FuzzNetworks_Client(f *testing.F) {
	trusted := mustParse(f, "10.0.0.0/8", "2001:db8:ffff::/48")
	peer := netip.MustParseAddr("10.0.0.1")
	for _, seed := range []string{
		"203.0.113.3", "203.0.113.3:5000", "[2001:db8::1]:443", "unknown", `"[fe80::1%eth0]:1"`, "::ffff:203.0.113.3, 10.0.0.2", ",", "[", `"`,
	} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, sent, header string) {
		addr, ok := trusted.client(peer, []string{header})
		if !ok {
			if addr.IsValid() {
				t.Errorf("%q cannot be read, and gives %v", header, addr)
			}
			return
		}
		if !addr.IsValid() || addr.Zone() != "" || addr.Is4In6() {
			t.Fatalf("%q gives %v", header, addr)
		}
		if again, ok := parseForwardedFor(addr.String()); !ok || again != addr {
			t.Errorf("%v is read again as %v, %v", addr, again, ok)
		}
		if trusted.contains(addr) {
			return
		}
		for _, spoofed := range [][]string{{sent + "," + header}, {sent, header}} {
			if got, ok := trusted.client(peer, spoofed); !ok || got != addr {
				t.Errorf("%q gives %v, and behind %q %v", header, addr, sent, got)
			}
		}
		if other, _ := trusted.client(addr, []string{header}); other != addr {
			t.Errorf("the header of an untrusted %v is believed: %v", addr, other)
		}
	})
}

func TestKey(t *testing.T) {
	for remote, want := range map[string]string{
		"203.0.113.3:80": "203.0.113.3", "[2001:db8:1:2:3:4:5:6]:80": "2001:db8:1:2::", "[::ffff:203.0.113.3]:80": "203.0.113.3",
		"[fe80::1%eth0]:80": "fe80::",
	} {
		r := httptest.NewRequest(http.MethodPost, "/onLogin", nil)
		r.RemoteAddr = remote
		r.Header.Set("X-Forwarded-For", "198.51.100.7") // ignored: no proxy is trusted
		addr, ok := Networks(nil).Client(r)
		if got := Key(addr); got != want || !ok {
			t.Errorf("%s: %s, want %s", remote, got, want)
		}
	}
}
