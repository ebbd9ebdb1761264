package profile_test

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"wxlogin/internal/profile"
)

const weChatPicture = "thirdwx.qlogo.cn/mmopen/vi_32/Q0j4TwGTfTKxCqRzuYWQmpwiaqQEjNxbC7WicaJ/132"

func TestAvatarURL_Valid(t *testing.T) {
	longest := "https://example.com/" + strings.Repeat("x", profile.MaxAvatarURL-len("https://example.com/"))
	for name, test := range map[string]struct{ in, want string }{
		"https":                 {"https://cdn.example.com/avatar/1.png?v=2&w=100#x", ""},
		"escapes":               {"https://example.com/%E5%A4%B4%22.png", ""},
		"all that a path has":   {"https://example.com/-._~!$&()*+,;=:@/[x]", ""},
		"no path":               {"https://example.com", ""},
		"query without a path":  {"https://example.com?a=//b", ""},
		"port":                  {"https://example.com:8443/a.png", ""},
		"punycode":              {"https://xn--fiq228c.xn--fiqs8s/a.png", ""},
		"underscore":            {"https://my_bucket.oss.example.com/a.png", ""},
		"digits":                {"https://360.cn/a.png", ""},
		"longest":               {longest, ""},
		"white space around":    {" \t" + longest + "\n", longest},
		"upper case":            {"HTTPS://CDN.Example.COM/A.png", "https://cdn.example.com/A.png"},
		"own port":              {"https://example.com:443/a.png", "https://example.com/a.png"},
		"zeros before the port": {"https://example.com:08443/a.png", "https://example.com:8443/a.png"},
		"wechat":                {"https://" + weChatPicture, ""},
		"wechat by http":        {"http://" + weChatPicture, "https://" + weChatPicture},
		"wechat by port 80":     {"http://wx.qlogo.cn:80/mmopen/a/0", "https://wx.qlogo.cn/mmopen/a/0"},
		"wechat upper case":     {"HTTP://WX.QLOGO.CN/mmopen/A/0", "https://wx.qlogo.cn/mmopen/A/0"},
		"wechat article":        {"http://mmbiz.qpic.cn/mmbiz/a/0?wx_fmt=png", "https://mmbiz.qpic.cn/mmbiz/a/0?wx_fmt=png"},
		"wechat abroad":         {"http://mmhead.c2c.wechat.com/mmhead/a/132", "https://mmhead.c2c.wechat.com/mmhead/a/132"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.want == "" {
				test.want = test.in
			}
			if got, ok := profile.AvatarURL(test.in); got != test.want || !ok {
				t.Errorf("%q, %t; want %q", got, ok, test.want)
			}
		})
	}
}

func TestAvatarURL_Invalid(t *testing.T) {
	for name, in := range map[string]string{
		"empty":                      "",
		"space":                      " ",
		"temporary file":             "wxfile://tmp_0123456789.jpg",
		"temporary http file":        "http://tmp/wx0123.jpg",
		"temporary https file":       "https://tmp/wx0123.jpg",
		"usr file":                   "http://usr/a.jpg",
		"store file":                 "http://store/a.jpg",
		"developer tools":            "http://127.0.0.1:34567/__tmp__/a.jpg",
		"path":                       "/tmp/a.jpg",
		"own path":                   "/avatars/0123456789abcdef0123456789abcdef.jpg",
		"no scheme":                  "//example.com/a.jpg",
		"no slashes":                 "https:example.com/a.jpg",
		"one slash":                  "https:/example.com/a.jpg",
		"three slashes":              "https:///example.com/a.jpg",
		"data":                       "data:image/png;base64,AAAA",
		"blob":                       "blob:https://example.com/1",
		"javascript":                 "javascript:alert(1)",
		"javascript with a host":     "javascript://example.com/%0Aalert(1)",
		"ftp":                        "ftp://example.com/a.jpg",
		"http":                       "http://example.com/a.jpg",
		"http like wechat":           "http://evilqlogo.cn/a.jpg",
		"http wechat in the path":    "http://example.com/wx.qlogo.cn",
		"http wechat as a label":     "http://wx.qlogo.cn.example.com/a.jpg",
		"http wechat other port":     "http://wx.qlogo.cn:8080/a.jpg",
		"user":                       "https://a@example.com/a.jpg",
		"user and password":          "https://a:b@example.com/a.jpg",
		"empty user":                 "https://@example.com/a.jpg",
		"wechat as a user":           "http://wx.qlogo.cn@example.com/a.jpg",
		"localhost":                  "https://localhost/a.jpg",
		"localhost in capitals":      "https://LOCALHOST:34567/a.jpg",
		"below localhost":            "https://a.localhost/a.jpg",
		"local network":              "https://nas.local/a.jpg",
		"internal":                   "https://pictures.internal/a.jpg",
		"home":                       "https://home.arpa/a.jpg",
		"invalid":                    "https://a.invalid/a.jpg",
		"single label":               "https://intranet/a.jpg",
		"single label and a dot":     "https://intranet./a.jpg",
		"dot at the end":             "https://example.com./a.jpg",
		"dot at the beginning":       "https://.example.com/a.jpg",
		"two dots":                   "https://example..com/a.jpg",
		"hyphen at the beginning":    "https://-a.example.com/a.jpg",
		"long label":                 "https://" + strings.Repeat("a", 64) + ".com/a.jpg",
		"long host":                  "https://" + strings.Repeat("a.", 126) + "com/a.jpg",
		"ipv4":                       "https://192.0.2.7/a.jpg",
		"ipv4 loopback":              "https://127.0.0.1/a.jpg",
		"ipv4 unspecified":           "https://0.0.0.0/a.jpg",
		"ipv4 short":                 "https://127.1/a.jpg",
		"ipv4 hexadecimal":           "https://0x7f.0x1/a.jpg",
		"ipv4 octal":                 "https://0177.0.0.01/a.jpg",
		"ipv4 number":                "https://2130706433/a.jpg",
		"ipv4 and a dot":             "https://127.0.0.1./a.jpg",
		"ipv6":                       "https://[2001:db8::1]/a.jpg",
		"ipv6 loopback":              "https://[::1]:443/a.jpg",
		"ipv6 zone":                  "https://[fe80::1%25eth0]/a.jpg",
		"empty port":                 "https://example.com:/a.jpg",
		"port 0":                     "https://example.com:0/a.jpg",
		"large port":                 "https://example.com:65536/a.jpg",
		"port of letters":            "https://example.com:x/a.jpg",
		"non ascii host":             "https://例子.中国/a.jpg",
		"full width host":            "https://ｅxample.com/a.jpg",
		"escaped host":               "https://ex%61mple.com/a.jpg",
		"escaped non ascii host":     "https://%E4%BE%8B.example.com/a.jpg",
		"non ascii path":             "https://example.com/头.png",
		"invalid utf8":               "https://example.com/\xff",
		"newline":                    "https://example.com/a\n.jpg",
		"nul":                        "https://example.com/a\x00.jpg",
		"delete":                     "https://example.com/a\x7f.jpg",
		"space inside":               "https://example.com/1 .png",
		"quote and script":           `https://example.com/"><script>`,
		"single quote":               "https://example.com/'",
		"angle bracket":              "https://example.com/?<",
		"backslash":                  `https://example.com\@evil.example/a`,
		"backslash in the path":      `https://example.com/a\b`,
		"backtick":                   "https://example.com/`",
		"brace":                      "https://example.com/{a}",
		"pipe":                       "https://example.com/a|b",
		"bad escape":                 "https://example.com/%zz",
		"one too many":               "https://example.com/" + strings.Repeat("x", 1005),
		"too long by becoming https": "http://wx.qlogo.cn/" + strings.Repeat("x", 1005),
	} {
		t.Run(name, func(t *testing.T) {
			if got, ok := profile.AvatarURL(in); got != "" || ok {
				t.Errorf("%q becomes %q", in, got)
			}
		})
	}
}

// FuzzAvatarURL checks that a valid URL is stable, is an https URL on a public host, and ends no attribute.
func FuzzAvatarURL(f *testing.F) {
	for _, s := range []string{
		"", "https://a.example/1.png", "http://" + weChatPicture, "http://tmp/1.png", "wxfile://tmp_1", "https://a:b@c.de/", "HTTPS://A.DE:443/%41?%zz#",
		"https://[::1]:0/%zz", "//x", "https://127.1/", "https://a.b:08/", "https://a.b?//c", "https://a.b/\"'<>\\",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, given string) {
		address, ok := profile.AvatarURL(given)
		if ok != (address != "") {
			t.Fatalf("%q: %q, %t", given, address, ok)
		}
		if !ok {
			return
		}
		if again, _ := profile.AvatarURL(address); again != address {
			t.Errorf("%q becomes %q, and that as %q", given, address, again)
		}
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "https" || u.User != nil || !strings.Contains(u.Hostname(), ".") {
			t.Fatalf("%q becomes %q", given, address)
		}
		if _, err := netip.ParseAddr(u.Hostname()); err == nil {
			t.Errorf("%q leads to an IP address", address)
		}
		if len(address) > profile.MaxAvatarURL || strings.ContainsAny(address, "\"'<>\\` \t\n\x00") {
			t.Errorf("%q becomes %q", given, address)
		}
	})
}
