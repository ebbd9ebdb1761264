package profile_test

import (
	"errors"
	"fmt"
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
	ideogram = "葛\U000e0100" // a form of the character, as Japanese names have it
)

// Names that are stored as they are, typed or WeChat's.
var wholeNames = map[string]string{
	"ascii":                         "Band",
	"chinese":                       "王小明",
	"spaces_inside":                 "Ana  María\u3000\u00a0X",
	"one_character":                 "字",
	"one_digit":                     "7",
	"punctuation":                   "...",
	"32_characters":                 strings.Repeat("字", 32),
	"32_families":                   strings.Repeat(family, 32),
	"32_flags_of_England":           strings.Repeat(england, 32),
	"25_couples":                    strings.Repeat(couple, 25),
	"emoji":                         "😀",
	"newer_emoji_than_Go":           "\U0001fae9",
	"family":                        family,
	"flag":                          "🇨🇳",
	"flag_of_England":               england,
	"flag_of_England_in_a_name":     "Al" + england + "B",
	"rainbow_flag":                  "🏳️\u200d🌈",
	"pirate_flag":                   "🏴\u200d☠️",
	"skin_tone":                     "👋🏽",
	"couple":                        couple,
	"head_shaking":                  "🙂\u200d↔️",
	"keycap":                        "1️⃣#️⃣*⃣",
	"text_variant":                  "☺\ufe0e",
	"ideographic_variant":           ideogram + "城",
	"persian":                       "می\u200cخواهم",
	"persian_with_a_vowel":          "دَه\u200cها",
	"arabic_final_joiner":           "ه\u200d",
	"hindi":                         "क्\u200dष श्री क्\u200cष",
	"bengali_joiner_before_virama":  "র\u200d্য",
	"sinhala":                       "ශ්\u200dරී",
	"malayalam":                     "ന്\u200d",
	"mongolian":                     "ᠬᠠᠷ\u180eᠠ ᠮᠣᠩ\u180bᠭᠣᠯ",
	"tibetan":                       "ཨོཾ་མ་ཎི་པདྨེ་ཧཱུྃ",
	"burmese":                       "လျှိုးဝှက် ကြွှိုး",
	"thai":                          "น้ำผึ้ง",
	"hebrew_with_points":            "שָׁלוֹם",
	"vietnamese":                    "Nguyễn",
	"korean":                        "김민수",
	"sign_over_digits":              "\u0600\u0661",
	"egyptian":                      "\U00013000\U00013430\U00013001",
	"6_marks":                       "x\u0316\u0317\u0318\u0319\u031c\u031d",
	"cjk_of_a_newer_unicode":        "\U000323b0",
	"replacement_character":         "a\ufffd",
	"apostrophes_and_angle_quotes":  `O'Neil <"\>&;`,
	"placeholder_is_not_looked_for": "微信用户",
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

// Names that are refused if they were typed, and what is left of them if they are WeChat's.
var refusedNames = map[string]struct {
	in   string
	err  error
	left string
}{
	"nothing":                     {"", profile.ErrInvisible, ""},
	"spaces":                      {" \u3000\t\u00a0", profile.ErrInvisible, ""},
	"braille_blank":               {"\u2800", profile.ErrInvisible, ""},
	"null_notehead":               {"\U0001d159", profile.ErrInvisible, ""},
	"egyptian_control_alone":      {"\U00013430", profile.ErrInvisible, ""},
	"33_characters":               {strings.Repeat("字", 33), profile.ErrTooLong, strings.Repeat("字", 32)},
	"33_families":                 {strings.Repeat(family, 33), profile.ErrTooLong, strings.Repeat(family, 32)},
	"more_than_255_code_points":   {strings.Repeat(couple, 26), profile.ErrTooLong, strings.Repeat(couple, 25)},
	"a_space_where_it_is_cut":     {strings.Repeat("字", 31) + " 字", profile.ErrTooLong, strings.Repeat("字", 31)},
	"one_endless_emoji":           {strings.Repeat("👨\u200d", 200) + "👨", profile.ErrTooLong, ""},
	"one_mark":                    {"\u0301", profile.ErrCharacter, ""},
	"enclosing_mark":              {"\u20dd", profile.ErrCharacter, ""},
	"mark_behind_a_space":         {" \u0301", profile.ErrCharacter, ""},
	"vowel_sign_alone":            {"\u093e", profile.ErrCharacter, ""},
	"mark_first":                  {"\u0301Al", profile.ErrCharacter, "Al"},
	"7_marks":                     {"x\u0316\u0317\u0318\u0319\u031c\u031d\u031e", profile.ErrCharacter, "x\u0316\u0317\u0318\u0319\u031c\u031d"},
	"300_marks":                   {"x" + strings.Repeat("\u0316", 300), profile.ErrCharacter, "x" + strings.Repeat("\u0316", 6)},
	"300_spacing_marks":           {"x" + strings.Repeat("\u302e", 300), profile.ErrCharacter, "x" + strings.Repeat("\u302e", 6)},
	"marks_between_joiners":       {"ي" + strings.Repeat("\u0654\u200c", 9), profile.ErrCharacter, "ئ" + strings.Repeat("\u200c\u0654", 6) + "\u200c"},
	"control":                     {"a\x00b\x7f", profile.ErrCharacter, "ab"},
	"newline":                     {"a\nb\u0085c", profile.ErrCharacter, "abc"},
	"line_separator":              {"a\u2028b\u2029c", profile.ErrCharacter, "abc"},
	"bidi_override":               {"a\u202egnp.exe\u202c", profile.ErrCharacter, "agnp.exe"},
	"bidi_isolate":                {"a\u2067b\u2069", profile.ErrCharacter, "ab"},
	"bidi_marks":                  {"a\u200e\u200f\u061cb", profile.ErrCharacter, "ab"},
	"private_use":                 {"a\ue001\uf8ff\U000f0000\U0010fffd", profile.ErrCharacter, "a"},
	"noncharacters":               {"a\ufdd0\ufffe\uffff\U0001fffe", profile.ErrCharacter, "a"},
	"annotation":                  {"a\ufff9b\ufffac\ufffb", profile.ErrCharacter, "abc"},
	"object":                      {"\ufffc", profile.ErrCharacter, ""},
	"invalid_utf8":                {"a\xffb\xf0\x9f", profile.ErrCharacter, "ab"},
	"half_a_surrogate":            {"a\xed\xa0\xbd", profile.ErrCharacter, "a"},
	"joiner_between_latin":        {"Ali\u200dce", profile.ErrCharacter, "Alice"},
	"non_joiner_between_han":      {"王\u200c明", profile.ErrCharacter, "王明"},
	"joiner_first":                {"\u200dक", profile.ErrCharacter, "क"},
	"joiner_behind_a_space":       {"a \u200cb", profile.ErrCharacter, "a b"},
	"two_joiners":                 {"می\u200c\u200cخ", profile.ErrCharacter, "می\u200cخ"},
	"joiner_behind_the_last":      {"👨\u200d", profile.ErrCharacter, "👨"},
	"joiner_of_letter_and_emoji":  {"a\u200d👩", profile.ErrCharacter, "a👩"},
	"joiner_in_a_keycap":          {"1️\u200d👩", profile.ErrCharacter, "1️👩"},
	"two_variation_selectors":     {"☺" + variant + variant, profile.ErrCharacter, "☺" + variant},
	"variation_of_a_space":        {"a " + variant + "b", profile.ErrCharacter, "a b"},
	"variation_selector_first":    {variant + "a", profile.ErrCharacter, "a"},
	"mongolian_separator_in_han":  {"王\u180e明", profile.ErrCharacter, "王明"},
	"tags_of_a_letter":            {"a" + tag + tag + tag + tagEnd, profile.ErrCharacter, "a"},
	"tags_without_an_end":         {"🏴" + tag + tag + tag, profile.ErrCharacter, "🏴"},
	"tags_that_are_a_text":        {"🏴" + strings.Repeat(tag, 7) + tagEnd, profile.ErrCharacter, "🏴"},
	"tags_of_another_emoji":       {"😀" + tag + tag + tag + tagEnd, profile.ErrCharacter, "😀"},
	"uncovers_a_mark":             {"e\u202e\u0301", profile.ErrCharacter, "é"},
	"uncovers_a_space":            {"\u200b \u200bAl\u200b \u2060", profile.ErrCharacter, "Al"},
	"uncovers_the_placeholder":    {"微信\u200b用户", profile.ErrCharacter, "微信用户"},
	"a_hundred_strays_do_not_cut": {strings.Repeat("\u206f", 300) + "Al", profile.ErrCharacter, "Al"},
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

// Each of these is nothing by itself, and is no part of a name of letters either.
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
					t.Errorf("typed %+q is taken as %+q", in, got)
				}
				if got := profile.CleanNickName(in); got != "" {
					t.Errorf("WeChat's %+q is taken as %+q", in, got)
				}
			}
			if r >= 0xfe00 && r <= 0xfe0f || r >= 0x180b && r <= 0x180f && r != 0x180e {
				continue // the letter before may have variants
			}
			in := "A" + string(r) + "b"
			if got, err := profile.NickName(in); err == nil {
				t.Errorf("typed %+q is taken as %+q", in, got)
			}
			if got := profile.CleanNickName(in); got != "Ab" {
				t.Errorf("of WeChat's %+q is left %+q", in, got)
			}
		}
	}
}

// addNames adds the texts of the tests as seeds.
func addNames(f *testing.F) {
	for _, name := range wholeNames {
		f.Add(name)
	}
	for _, test := range refusedNames {
		f.Add(test.in)
	}
	f.Add("x" + strings.Repeat("\u302e\u0316", 40) + "\u0958\U0001d15e\ufb1d")
}

// wantNickName fails unless a name that is stored keeps its promises.
func wantNickName(t *testing.T, given, name string) {
	t.Helper()
	if !utf8.ValidString(name) || utf8.RuneCountInString(name) > 255 || strings.TrimSpace(name) != name || !norm.NFC.IsNormalString(name) {
		t.Errorf("%+q is taken as %+q", given, name)
	}
	if again, err := profile.NickName(name); again != name || err != nil {
		t.Errorf("%+q is taken as %+q, and that as %+q (%v)", given, name, again, err)
	}
}

// A name that is taken is taken once more as it is. WeChat's are judged alike: one that may be typed stays whole, and
// what is left of another one may be typed.
func FuzzNickName(f *testing.F) {
	addNames(f)
	f.Fuzz(func(t *testing.T, given string) {
		name, err := profile.NickName(given)
		if err == nil {
			wantNickName(t, given, name)
		} else if name != "" {
			t.Errorf("%+q is refused and comes back as %+q", given, name)
		}
		cleaned := profile.CleanNickName(given)
		if err == nil && cleaned != name {
			t.Errorf("%+q is %+q if it was typed, and else %+q", given, name, cleaned)
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
