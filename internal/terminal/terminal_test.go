package terminal_test

import (
	"strings"
	"testing"

	"wxlogin/internal/terminal"
)

func TestWidth(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "Alice": 5, "小明": 4, "ＡＢ": 4, "ｱｲ": 2, "é": 1, "e\u0301": 1, "😀": 2, "한국": 4, "a小😀b": 6,
	} {
		if got := terminal.Width(text); got != want {
			t.Errorf("%q is %d columns wide, want %d", text, got, want)
		}
	}
}

func TestTruncate(t *testing.T) {
	for _, tt := range []struct {
		text    string
		columns int
		want    string
	}{
		{"Alice", 5, "Alice"},
		{"Alice B", 6, "Ali..."},
		{"小明小明", 8, "小明小明"},
		{"小明小明", 7, "小明..."},
		{"小明小明", 6, "小..."}, // half a character does not print
		{"小明小明", 3, "..."},
	} {
		got := terminal.Truncate(tt.text, tt.columns)
		if got != tt.want || terminal.Width(got) > tt.columns {
			t.Errorf("%q in %d columns is %q, want %q", tt.text, tt.columns, got, tt.want)
		}
	}
}

func TestClean(t *testing.T) {
	for text, want := range map[string]string{
		"小明 😀":                     "小明 😀",
		"a\nb\tc\u3000d":           "a b c d",
		"\x1b[31mred\x07":          "?[31mred?",
		"\u202egnp.exe\u2066":      "gnp.exe",
		"zero\u200bwidth\ufeff":    "zerowidth",
		"bad \xff utf8":            "bad \ufffd utf8",
		"  Alice\r\n":              "Alice",
		"👨\u200d👩\u200d👧":          "👨👩👧",
		"private use \U000f0000":   "private use ?",
		"unassigned \U0003ffff !":  "unassigned ? !",
		"line\u2028and\u2029break": "line and break",
	} {
		if got := terminal.Clean(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

func TestTable(t *testing.T) {
	table := terminal.Table{Indent: 1}
	table.Row("ID", "NICKNAME", "STATUS")
	table.Row("1", "Alice", "active")
	table.Row("22", "小明小明小明", "disabled")
	table.Row("3", "", "\x1b[2J")
	var text strings.Builder
	if err := table.Write(&text); err != nil {
		t.Fatal(err)
	}
	want := ` ID  NICKNAME      STATUS
 1   Alice         active
 22  小明小明小明  disabled
 3   -             ?[2J
`
	if text.String() != want {
		t.Errorf("the table is\n%s, want\n%s", text.String(), want)
	}
}
