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
		"all_that_a_path_has":   {"https://example.com/-._~!$&()*+,;=:@/[x]", ""},
		"no_path":               {"https://example.com", ""},
		"query_without_a_path":  {"https://example.com?a=//b", ""},
		"port":                  {"https://example.com:8443/a.png", ""},
		"punycode":              {"https://xn--fiq228c.xn--fiqs8s/a.png", ""},
		"underscore":            {"https://my_bucket.oss.example.com/a.png", ""},
		"digits":                {"https://360.cn/a.png", ""},
		"longest":               {longest, ""},
		"white_space_around":    {" \t" + longest + "\n", longest},
		"upper_case":            {"HTTPS://CDN.Example.COM/A.png", "https://cdn.example.com/A.png"},
		"own_port":              {"https://example.com:443/a.png", "https://example.com/a.png"},
		"zeros_before_the_port": {"https://example.com:08443/a.png", "https://example.com:8443/a.png"},
		"wechat":                {"https://" + weChatPicture, ""},
		"wechat_by_http":        {"http://" + weChatPicture, "https://" + weChatPicture},
		"wechat_by_port_80":     {"http://wx.qlogo.cn:80/mmopen/a/0", "https://wx.qlogo.cn/mmopen/a/0"},
		"wechat_upper_case":     {"HTTP://WX.QLOGO.CN/mmopen/A/0", "https://wx.qlogo.cn/mmopen/A/0"},
		"wechat_article":        {"http://mmbiz.qpic.cn/mmbiz/a/0?wx_fmt=png", "https://mmbiz.qpic.cn/mmbiz/a/0?wx_fmt=png"},
		"wechat_abroad":         {"http://mmhead.c2c.wechat.com/mmhead/a/132", "https://mmhead.c2c.wechat.com/mmhead/a/132"},
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
		"temporary_file":             "wxfile://tmp_0123456789.jpg",
		"temporary_http_file":        "http://tmp/wx0123.jpg",
		"temporary_https_file":       "https://tmp/wx0123.jpg",
		"usr_file":                   "http://usr/a.jpg",
		"store_file":                 "http://store/a.jpg",
		"developer_tools":            "http://127.0.0.1:34567/__tmp__/a.jpg",
		"path":                       "/tmp/a.jpg",
		"own_path":                   "/avatars/0123456789abcdef0123456789abcdef.jpg",
		"no_scheme":                  "//example.com/a.jpg",
		"no_slashes":                 "https:example.com/a.jpg",
		"one_slash":                  "https:/example.com/a.jpg",
		"three_slashes":              "https:///example.com/a.jpg",
		"data":                       "data:image/png;base64,AAAA",
		"blob":                       "blob:https://example.com/1",
		"javascript":                 "javascript:alert(1)",
		"javascript_with_a_host":     "javascript://example.com/%0Aalert(1)",
		"ftp":                        "ftp://example.com/a.jpg",
		"http":                       "http://example.com/a.jpg",
		"http_like_wechat":           "http://evilqlogo.cn/a.jpg",
		"http_wechat_in_the_path":    "http://example.com/wx.qlogo.cn",
		"http_wechat_as_a_label":     "http://wx.qlogo.cn.example.com/a.jpg",
		"http_wechat_other_port":     "http://wx.qlogo.cn:8080/a.jpg",
		"user":                       "https://a@example.com/a.jpg",
		"user_and_password":          "https://a:b@example.com/a.jpg",
		"empty_user":                 "https://@example.com/a.jpg",
		"wechat_as_a_user":           "http://wx.qlogo.cn@example.com/a.jpg",
		"localhost":                  "https://localhost/a.jpg",
		"localhost_in_capitals":      "https://LOCALHOST:34567/a.jpg",
		"below_localhost":            "https://a.localhost/a.jpg",
		"local_network":              "https://nas.local/a.jpg",
		"internal":                   "https://pictures.internal/a.jpg",
		"home":                       "https://home.arpa/a.jpg",
		"invalid":                    "https://a.invalid/a.jpg",
		"single_label":               "https://intranet/a.jpg",
		"single_label_and_a_dot":     "https://intranet./a.jpg",
		"dot_at_the_end":             "https://example.com./a.jpg",
		"dot_at_the_beginning":       "https://.example.com/a.jpg",
		"two_dots":                   "https://example..com/a.jpg",
		"hyphen_at_the_beginning":    "https://-a.example.com/a.jpg",
		"long_label":                 "https://" + strings.Repeat("a", 64) + ".com/a.jpg",
		"long_host":                  "https://" + strings.Repeat("a.", 126) + "com/a.jpg",
		"ipv4":                       "https://192.0.2.7/a.jpg",
		"ipv4_loopback":              "https://127.0.0.1/a.jpg",
		"ipv4_unspecified":           "https://0.0.0.0/a.jpg",
		"ipv4_short":                 "https://127.1/a.jpg",
		"ipv4_hexadecimal":           "https://0x7f.0x1/a.jpg",
		"ipv4_octal":                 "https://0177.0.0.01/a.jpg",
		"ipv4_number":                "https://2130706433/a.jpg",
		"ipv4_and_a_dot":             "https://127.0.0.1./a.jpg",
		"ipv6":                       "https://[2001:db8::1]/a.jpg",
		"ipv6_loopback":              "https://[::1]:443/a.jpg",
		"ipv6_zone":                  "https://[fe80::1%25eth0]/a.jpg",
		"empty_port":                 "https://example.com:/a.jpg",
		"port_0":                     "https://example.com:0/a.jpg",
		"large_port":                 "https://example.com:65536/a.jpg",
		"port_of_letters":            "https://example.com:x/a.jpg",
		"non_ascii_host":             "https://例子.中国/a.jpg",
		"full_width_host":            "https://ｅxample.com/a.jpg",
		"escaped_host":               "https://ex%61mple.com/a.jpg",
		"escaped_non_ascii_host":     "https://%E4%BE%8B.example.com/a.jpg",
		"non_ascii_path":             "https://example.com/头.png",
		"invalid_utf8":               "https://example.com/\xff",
		"newline":                    "https://example.com/a\n.jpg",
		"nul":                        "https://example.com/a\x00.jpg",
		"delete":                     "https://example.com/a\x7f.jpg",
		"space_inside":               "https://example.com/1 .png",
		"quote_and_script":           `https://example.com/"><script>`,
		"single_quote":               "https://example.com/'",
		"angle_bracket":              "https://example.com/?<",
		"backslash":                  `https://example.com\@evil.example/a`,
		"backslash_in_the_path":      `https://example.com/a\b`,
		"backtick":                   "https://example.com/`",
		"brace":                      "https://example.com/{a}",
		"pipe":                       "https://example.com/a|b",
		"bad_escape":                 "https://example.com/%zz",
		"one_too_many":               "https://example.com/" + strings.Repeat("x", 1005),
		"too_long_by_becoming_https": "http://wx.qlogo.cn/" + strings.Repeat("x", 1005),
	} {
		t.Run(name, func(t *testing.T) {
			if got, ok := profile.AvatarURL(in); got != "" || ok {
				t.Errorf("%q is taken as %q", in, got)
			}
		})
	}
}

// An address that is taken is taken once more as it is, leads to a host with a public name by https, and ends no
// attribute.
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
			t.Errorf("%q is taken as %q, and that as %q", given, address, again)
		}
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "https" || u.User != nil || !strings.Contains(u.Hostname(), ".") {
			t.Fatalf("%q is taken as %q", given, address)
		}
		if _, err := netip.ParseAddr(u.Hostname()); err == nil {
			t.Errorf("%q leads to an IP address", address)
		}
		if len(address) > profile.MaxAvatarURL || strings.ContainsAny(address, "\"'<>\\` \t\n\x00") {
			t.Errorf("%q is taken as %q", given, address)
		}
	})
}
