package wechat

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestReadObject(t *testing.T) {
	t.Run("strings", func(t *testing.T) {
		for name, test := range map[string]struct {
			in, want string
			lossy    bool
		}{
			"plain":                        {"李 x", "李 x", false},
			"every escape":                 {`\"\\\/\b\f\n\r\t\u00e9`, "\"\\/\b\f\n\r\té", false},
			"raw control characters":       {"a\n\x00\x1f\tb", "a\n\x00\x1f\tb", false},
			"a pair of surrogates":         {`\ud83d\uDC3C`, "🐼", false},
			"half a pair":                  {`a\ud83db`, "ab", true},
			"the other half":               {`a\udc3cb`, "ab", true},
			"half a pair before a pair":    {`\ud83d\ud83d\udc3c`, "🐼", true},
			"half a pair before an escape": {`\ud83d\n\u0041`, "\nA", true},
			"half a pair at the end":       {`x\ud83d`, "x", true},
			"U+FFFD that was sent":         {"\ufffd" + `\ufffd`, "\ufffd\ufffd", false},
			"a byte that is no UTF-8":      {"a\xffb", "ab", true},
			"a character cut off":          {"微\xe4\xbf", "微", true},
			"a surrogate as UTF-8":         {"a\xed\xa0\xbdb", "ab", true},
			"an overlong slash":            {"a\xc0\xafb", "ab", true},
		} {
			t.Run(name, func(t *testing.T) {
				o, ok := readObject([]byte(`{"a":"` + test.in + `"}`))
				if !ok || len(o) != 1 {
					t.Fatalf("not read: %v", o)
				}
				if v := o[0].value; v.text != test.want || v.lossy != test.lossy || o.text("a") != test.want {
					t.Errorf("got %q, lossy: %v", v.text, v.lossy)
				}
				if _, exact := o.exactText("a"); exact == test.lossy {
					t.Errorf("exact: %v", exact)
				}
			})
		}
	})

	t.Run("invalid input", func(t *testing.T) {
		for name, in := range map[string]string{
			"nothing": "", "a list": "[]", "null": "null", "a text": `"a"`, "a number": "1", "a page": "<html>", "a cut object": `{"a":1`,
			"a cut text": `{"a":"b`, "a cut escape": `{"a":"\`, "a cut code unit": `{"a":"\u00e`, "no code unit": `{"a":"\u00zz"}`,
			"an unknown escape": `{"a":"\x"}`, "two objects": `{}{}`, "something behind it": `{}x`, "a comma at the end": `{"a":1,}`,
			"a name without quotes": `{a:1}`, "single quotes": `{'a':'b'}`, "no colon": `{"a" 1}`, "no comma": `{"a":1 "b":2}`,
			"a control character outside of texts": "{\x01}", "one in a name": "{\"a\nb\":1}", "a BOM within": "{\ufeff}",
			"a number with a zero before": `{"a":01}`, "a number with a plus": `{"a":+1}`, "a number without digits": `{"a":-}`,
			"a fraction without digits": `{"a":1.}`, "an exponent without digits": `{"a":1e}`, "half a word": `{"a":tru}`,
			"NaN": `{"a":NaN}`, "a list without end": `{"a":[1,`, "a comment": `{}//`,
			"deep nesting": strings.Repeat(`{"a":`, 20000) + "1" + strings.Repeat("}", 20000),
		} {
			if o, ok := readObject([]byte(in)); ok {
				t.Errorf("%s: read %v", name, o)
			}
		}
	})

	t.Run("BOMs and white space", func(t *testing.T) {
		for _, around := range [][2]string{{"\ufeff", ""}, {" \r\n\ufeff\t", "\r\n "}, {"", "\ufeff\n"}} {
			if o, ok := readObject([]byte(around[0] + `{ "a" : "b" }` + around[1])); !ok || o.text("a") != "b" {
				t.Errorf("%q: got %v", around, o)
			}
		}
	})
}

func TestJSONObject(t *testing.T) {
	t.Run("integers", func(t *testing.T) {
		for in, want := range map[string]int64{
			`7200`: 7200, `"7200"`: 7200, `" 7200\n"`: 7200, `7200.0`: 7200, `7.2e3`: 7200, `"7.2E+3"`: 7200, `72000e-1`: 7200,
			`-1`: -1, `"-1"`: -1, `9223372036854775807`: 1<<63 - 1, `9007199254740992.0`: 1 << 53,
			// A value that is not an integer, or does not fit, counts as absent.
			`9223372036854775808`: 0, `1e19`: 0, `1e400`: 0, `-1e400`: 0, `1e999999999`: 0, `9007199254740994.0`: 0, `7200.5`: 0,
			`"7200s"`: 0, `"0x10"`: 0, `"1_000"`: 0, `"Inf"`: 0, `"NaN"`: 0, `"+1"`: 0, `"007"`: 0, `""`: 0, `" "`: 0,
			`true`: 0, `null`: 0, `[1]`: 0, `{"a":1}`: 0, "\"1\xff\"": 0, `"1\ud83d"`: 0,
		} {
			o, ok := readObject([]byte(`{"a":` + in + `}`))
			if got := o.integer("a"); !ok || got != want {
				t.Errorf("%s: got %d, want %d", in, got, want)
			}
			if got := o.exactInteger("a"); got != want {
				t.Errorf("%s: exactly %d, want %d", in, got, want)
			}
		}
	})

	// If a name occurs twice, the last usable value wins, or none if it must be the only one.
	t.Run("duplicate names", func(t *testing.T) {
		for in, want := range map[string]struct {
			text  string
			exact string
			only  bool
		}{
			`{"a":"x"}`:                     {"x", "x", true},
			`{}`:                            {"", "", true},
			`{"a":null}`:                    {"", "", true},
			`{"A":"x"}`:                     {"x", "x", true},
			`{"a":"x","a":null}`:            {"x", "x", true},
			`{"a":"x","a":"y"}`:             {"y", "", false},
			`{"a":"x","a":"x"}`:             {"x", "", false},
			`{"a":"x","A":"y"}`:             {"y", "", false},
			`{"a":"x","a":{}}`:              {"x", "", false},
			`{"a":1}`:                       {"1", "", false},
			`{"a":true}`:                    {"", "", false},
			"{\"a\xff\":\"y\"}":             {"", "", true},
			"{\"a\":\"x\",\"a\xff\":\"y\"}": {"x", "x", true},
			`{"a\ud83d":"y"}`:               {"", "", true},
		} {
			o, ok := readObject([]byte(in))
			exact, only := o.exactText("a")
			if !ok || o.text("a") != want.text || exact != want.exact || only != want.only {
				t.Errorf("%s: got %q; exactly %q, %v", in, o.text("a"), exact, only)
			}
		}
		o, _ := readObject([]byte(`{"w":{"a":"x"},"W":{"b":2}}`))
		if w := o.object("w"); w.text("a") != "x" || w.integer("b") != 2 || o.exactObject("w") != nil {
			t.Errorf("an object in parts: %v", w)
		}
	})
}

// readObject never panics. It reads all that encoding/json reads, with the same result, and is more lenient in strings
// only.
func FuzzReadObject(f *testing.F) {
	for _, s := range []string{
		`{"errcode":0,"phone_info":{"countryCode":86,"watermark":{"timestamp":1.637744274e9,"appid":"wx"}}}`,
		"{\"nickName\":\"a\nb\xff\\ud83d\\ud83d\\udc3c\"}", "\ufeff {\"a\":[1,{}, [],true,false,null]} ", `{"a":"b","A":"c","a":null}`,
		`{"a":1e400}`, `{"a":-0.0}`, `{"":""}`, `{`, `null`, ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		o, ok := readObject(text)
		var strict map[string]any
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		isStrict := json.Valid(text) && decoder.Decode(&strict) == nil && strict != nil
		if isStrict && !ok {
			t.Fatalf("%q is JSON, and was not read", text)
		}
		if ok && !json.Valid(withoutControls(text)) {
			t.Fatalf("%q is no JSON, and was read", text)
		}
		if isStrict {
			wantSame(t, o, strict)
		}
	})
}

// withoutControls removes control characters, and BOMs around the text, so that the result is JSON if only these were
// wrong.
func withoutControls(text []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, bytes.Trim(text, " \t\r\n\ufeff"))
}

// wantSame compares an object with the result of encoding/json, in which the last of several values wins.
func wantSame(t *testing.T, o jsonObject, strict map[string]any) {
	t.Helper()
	last := make(map[string]jsonValue)
	for _, m := range o {
		last[m.name] = m.value
	}
	for name, got := range last {
		want, there := strict[name]
		if !there && name != "" { // the name of a lossy member
			t.Fatalf("%q is not there", name)
		}
		switch want := want.(type) {
		case string:
			if there && name != "" && !got.lossy && (got.typ != typeString || got.text != want) {
				t.Errorf("%q: got %q, want %q", name, got.text, want)
			}
			if strings.Contains(got.text, "\ufffd") && !strings.Contains(want, "\ufffd") {
				t.Errorf("%q: U+FFFD was made", name)
			}
		case json.Number:
			if name != "" && (got.typ != typeNumber || got.text != want.String()) {
				t.Errorf("%q: got %q, want %s", name, got.text, want)
			}
		case map[string]any:
			if name != "" {
				wantSame(t, got.members, want)
			}
		}
	}
}
