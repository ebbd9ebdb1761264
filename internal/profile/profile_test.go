package profile_test

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"wxlogin/internal/profile"
)

const (
	family   = "👨\u200d👩\u200d👧\u200d👦"
	england  = "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
	couple   = "👩🏻\u200d❤️\u200d💋\u200d👨🏿" // 10 code points
	tag      = "\U000e0061"
	tagEnd   = "\U000e007f"
	variant  = "\ufe0f"
	ideogram = "葛\U000e0100" // a variant of the character, as in Japanese names
)

// wholeNames are stored unchanged, whether a user entered them or WeChat sent them.
var wholeNames = map[string]string{
	"ascii":                        "Band",
	"chinese":                      "王小明",
	"spaces inside":                "Ana  María\u3000\u00a0X",
	"one character":                "字",
	"one digit":                    "7",
	"punctuation":                  "...",
	"32 characters":                strings.Repeat("字", 32),
	"32 families":                  strings.Repeat(family, 32),
	"32 flags of England":          strings.Repeat(england, 32),
	"25 couples":                   strings.Repeat(couple, 25),
	"emoji":                        "😀",
	"newer emoji than Go":          "\U0001fae9",
	"family":                       family,
	"flag":                         "🇨🇳",
	"flag of England":              england,
	"flag of England in a name":    "Al" + england + "B",
	"rainbow flag":                 "🏳️\u200d🌈",
	"pirate flag":                  "🏴\u200d☠️",
	"skin tone":                    "👋🏽",
	"couple":                       couple,
	"head shaking":                 "🙂\u200d↔️",
	"keycap":                       "1️⃣#️⃣*⃣",
	"text variant":                 "☺\ufe0e",
	"ideographic variant":          ideogram + "城",
	"persian":                      "می\u200cخواهم",
	"persian with a vowel":         "دَه\u200cها",
	"arabic final joiner":          "ه\u200d",
	"hindi":                        "क्\u200dष श्री क्\u200cष",
	"bengali joiner before virama": "র\u200d্য",
	"sinhala":                      "ශ්\u200dරී",
	"malayalam":                    "ന്\u200d",
	"mongolian":                    "ᠬᠠᠷ\u180eᠠ ᠮᠣᠩ\u180bᠭᠣᠯ",
	"tibetan":                      "ཨོཾ་མ་ཎི་པདྨེ་ཧཱུྃ",
	"burmese":                      "လျှိုးဝှက် ကြွှိုး",
	"thai":                         "น้ำผึ้ง",
	"hebrew with points":           "שָׁלוֹם",
	"vietnamese":                   "Nguyễn",
	"korean":                       "김민수",
	"sign over digits":             "\u0600\u0661",
	"egyptian":                     "\U00013000\U00013430\U00013001",
	"6 marks":                      "x\u0316\u0317\u0318\u0319\u031c\u031d",
	"cjk of a newer unicode":       "\U000323b0",
	"replacement character":        "a\ufffd",
	"apostrophes and angle quotes": `O'Neil <"\>&;`,
	"placeholder":                  "微信用户",
}

func TestNickName_Valid(t *testing.T) {
	for name, in := range wholeNames {
		t.Run(name, func(t *testing.T) {
			if !norm.NFC.IsNormalString(in) {
				t.Fatal("the test's own text is not composed")
			}
			for _, given := range []string{in, " \u2800" + in + "\n\u3000"} {
				if got, err := profile.NickName(given); got != in || err != nil {
					t.Errorf("typed %+q: %+q, %v", given, got, err)
				}
				if got := profile.CleanNickName(given); got != in {
					t.Errorf("WeChat's %+q: %+q", given, got)
				}
				if got := profile.CleanText(given); got != in {
					t.Errorf("a text %+q: %+q", given, got)
				}
			}
		})
	}
	t.Run("the composed form of what is decomposed", func(t *testing.T) {
		const in, want = "Ame\u0301lie", "Am\u00e9lie"
		if got, err := profile.NickName(in); got != want || err != nil {
			t.Errorf("typed: %q, %v", got, err)
		}
		if got := profile.CleanNickName(in); got != want {
			t.Errorf("WeChat's: %q", got)
		}
	})
}

// refusedNames are rejected if a user entered them. left is what remains of them if WeChat sent them.
var refusedNames = map[string]struct {
	in   string
	err  error
	left string
}{
	"nothing":                                {"", profile.ErrInvisible, ""},
	"spaces":                                 {" \u3000\t\u00a0", profile.ErrInvisible, ""},
	"braille blank":                          {"\u2800", profile.ErrInvisible, ""},
	"null notehead":                          {"\U0001d159", profile.ErrInvisible, ""},
	"egyptian control alone":                 {"\U00013430", profile.ErrInvisible, ""},
	"33 characters":                          {strings.Repeat("字", 33), profile.ErrTooLong, strings.Repeat("字", 32)},
	"33 families":                            {strings.Repeat(family, 33), profile.ErrTooLong, strings.Repeat(family, 32)},
	"more than 255 code points":              {strings.Repeat(couple, 26), profile.ErrTooLong, strings.Repeat(couple, 25)},
	"a space where it is cut":                {strings.Repeat("字", 31) + " 字", profile.ErrTooLong, strings.Repeat("字", 31)},
	"one endless emoji":                      {strings.Repeat("👨\u200d", 200) + "👨", profile.ErrTooLong, ""},
	"one mark":                               {"\u0301", profile.ErrCharacter, ""},
	"enclosing mark":                         {"\u20dd", profile.ErrCharacter, ""},
	"mark behind a space":                    {" \u0301", profile.ErrCharacter, ""},
	"vowel sign alone":                       {"\u093e", profile.ErrCharacter, ""},
	"mark first":                             {"\u0301Al", profile.ErrCharacter, "Al"},
	"7 marks":                                {"x\u0316\u0317\u0318\u0319\u031c\u031d\u031e", profile.ErrCharacter, "x\u0316\u0317\u0318\u0319\u031c\u031d"},
	"300 marks":                              {"x" + strings.Repeat("\u0316", 300), profile.ErrCharacter, "x" + strings.Repeat("\u0316", 6)},
	"300 spacing marks":                      {"x" + strings.Repeat("\u302e", 300), profile.ErrCharacter, "x" + strings.Repeat("\u302e", 6)},
	"marks between joiners":                  {"ي" + strings.Repeat("\u0654\u200c", 9), profile.ErrCharacter, "ئ" + strings.Repeat("\u200c\u0654", 6) + "\u200c"},
	"control":                                {"a\x00b\x7f", profile.ErrCharacter, "ab"},
	"newline":                                {"a\nb\u0085c", profile.ErrCharacter, "abc"},
	"line separator":                         {"a\u2028b\u2029c", profile.ErrCharacter, "abc"},
	"bidi override":                          {"a\u202egnp.exe\u202c", profile.ErrCharacter, "agnp.exe"},
	"bidi isolate":                           {"a\u2067b\u2069", profile.ErrCharacter, "ab"},
	"bidi marks":                             {"a\u200e\u200f\u061cb", profile.ErrCharacter, "ab"},
	"private use":                            {"a\ue001\uf8ff\U000f0000\U0010fffd", profile.ErrCharacter, "a"},
	"noncharacters":                          {"a\ufdd0\ufffe\uffff\U0001fffe", profile.ErrCharacter, "a"},
	"annotation":                             {"a\ufff9b\ufffac\ufffb", profile.ErrCharacter, "abc"},
	"object":                                 {"\ufffc", profile.ErrCharacter, ""},
	"invalid utf8":                           {"a\xffb\xf0\x9f", profile.ErrCharacter, "ab"},
	"half a surrogate":                       {"a\xed\xa0\xbd", profile.ErrCharacter, "a"},
	"joiner between latin":                   {"Ali\u200dce", profile.ErrCharacter, "Alice"},
	"non joiner between han":                 {"王\u200c明", profile.ErrCharacter, "王明"},
	"joiner first":                           {"\u200dक", profile.ErrCharacter, "क"},
	"joiner behind a space":                  {"a \u200cb", profile.ErrCharacter, "a b"},
	"two joiners":                            {"می\u200c\u200cخ", profile.ErrCharacter, "می\u200cخ"},
	"joiner behind the last":                 {"👨\u200d", profile.ErrCharacter, "👨"},
	"joiner of letter and emoji":             {"a\u200d👩", profile.ErrCharacter, "a👩"},
	"joiner in a keycap":                     {"1️\u200d👩", profile.ErrCharacter, "1️👩"},
	"two variation selectors":                {"☺" + variant + variant, profile.ErrCharacter, "☺" + variant},
	"variation of a space":                   {"a " + variant + "b", profile.ErrCharacter, "a b"},
	"variation selector first":               {variant + "a", profile.ErrCharacter, "a"},
	"mongolian separator in han":             {"王\u180e明", profile.ErrCharacter, "王明"},
	"tags of a letter":                       {"a" + tag + tag + tag + tagEnd, profile.ErrCharacter, "a"},
	"tags without an end":                    {"🏴" + tag + tag + tag, profile.ErrCharacter, "🏴"},
	"tags that are a text":                   {"🏴" + strings.Repeat(tag, 7) + tagEnd, profile.ErrCharacter, "🏴"},
	"tags of another emoji":                  {"😀" + tag + tag + tag + tagEnd, profile.ErrCharacter, "😀"},
	"uncovers a mark":                        {"e\u202e\u0301", profile.ErrCharacter, "é"},
	"uncovers a space":                       {"\u200b \u200bAl\u200b \u2060", profile.ErrCharacter, "Al"},
	"uncovers the placeholder":               {"微信\u200b用户", profile.ErrCharacter, "微信用户"},
	"300 invalid characters before the name": {strings.Repeat("\u206f", 300) + "Al", profile.ErrCharacter, "Al"},
}

func TestNickName_Invalid(t *testing.T) {
	for name, test := range refusedNames {
		t.Run(name, func(t *testing.T) {
			if got, err := profile.NickName(test.in); got != "" || !errors.Is(err, test.err) {
				t.Errorf("typed: %+q, %v; want %v", got, err, test.err)
			}
			if got := profile.CleanNickName(test.in); got != test.left {
				t.Errorf("WeChat's: %+q, want %+q", got, test.left)
			}
		})
	}
}

// Each of these characters is invisible on its own and does not belong in a name of letters.
func TestNickName_InvisibleCharacters(t *testing.T) {
	for _, list := range [][2]rune{
		{0x0000, 0x001f}, {0x007f, 0x009f}, {0x00ad, 0x00ad}, {0x034f, 0x034f}, {0x061c, 0x061c}, {0x115f, 0x1160}, {0x17b4, 0x17b5},
		{0x180b, 0x180f}, {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f}, {0x3164, 0x3164}, {0xe000, 0xe001}, {0xfdd0, 0xfdef},
		{0xfe00, 0xfe0f}, {0xfeff, 0xfeff}, {0xffa0, 0xffa0}, {0xfff0, 0xfffc}, {0xfffe, 0xffff}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a},
		{0xe0000, 0xe00ff}, {0xe01f0, 0xe0fff},
	} {
		for r := list[0]; r <= list[1]; r++ {
			for _, in := range []string{string(r), strings.Repeat(string(r), 5), " " + string(r) + " "} {
				if got, err := profile.NickName(in); err == nil {
					t.Errorf("typed %+q becomes %+q", in, got)
				}
				if got := profile.CleanNickName(in); got != "" {
					t.Errorf("WeChat's %+q becomes %+q", in, got)
				}
			}
			if r >= 0xfe00 && r <= 0xfe0f || r >= 0x180b && r <= 0x180f && r != 0x180e {
				continue // the previous letter may have variants
			}
			in := "A" + string(r) + "b"
			if got, err := profile.NickName(in); err == nil {
				t.Errorf("typed %+q becomes %+q", in, got)
			}
			if got := profile.CleanNickName(in); got != "Ab" {
				t.Errorf("of WeChat's %+q is left %+q", in, got)
			}
		}
	}
}

// addNames adds the names of the tests as seeds.
func addNames(f *testing.F) {
	for _, name := range wholeNames {
		f.Add(name)
	}
	for _, test := range refusedNames {
		f.Add(test.in)
	}
	f.Add("x" + strings.Repeat("\u302e\u0316", 40) + "\u0958\U0001d15e\ufb1d")
}

// wantNickName checks the properties of a name that is stored.
func wantNickName(t *testing.T, given, name string) {
	t.Helper()
	if !utf8.ValidString(name) || utf8.RuneCountInString(name) > 255 || strings.TrimSpace(name) != name || !norm.NFC.IsNormalString(name) {
		t.Errorf("%+q becomes %+q", given, name)
	}
	if again, err := profile.NickName(name); again != name || err != nil {
		t.Errorf("%+q becomes %+q, and that as %+q (%v)", given, name, again, err)
	}
}

// FuzzNickName checks that a valid name is stable, that CleanNickName leaves it unchanged, and that the result of
// CleanNickName is valid.
func FuzzNickName(f *testing.F) {
	addNames(f)
	f.Fuzz(func(t *testing.T, given string) {
		name, err := profile.NickName(given)
		if err == nil {
			wantNickName(t, given, name)
		} else if name != "" {
			t.Errorf("%+q is rejected, but returned as %+q", given, name)
		}
		cleaned := profile.CleanNickName(given)
		if err == nil && cleaned != name {
			t.Errorf("%+q: NickName returns %+q, CleanNickName %+q", given, name, cleaned)
		}
		if cleaned != "" {
			wantNickName(t, given, cleaned)
		}
		if text := profile.CleanText(given); profile.CleanText(text) != text || !strings.HasPrefix(text, cleaned) {
			t.Errorf("%+q is the text %+q and the name %+q", given, text, cleaned)
		}
	})
}

func BenchmarkNickName(b *testing.B) {
	for _, name := range []string{"Alice", "王小明🐼", strings.Repeat(family, 32)} {
		b.Run(fmt.Sprint(utf8.RuneCountInString(name)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = profile.NickName(name)
			}
		})
	}
}

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
