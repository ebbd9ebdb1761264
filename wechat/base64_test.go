package wechat_test

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"wxlogin/wechat"
)

func TestDecodeBase64(t *testing.T) {
	tests := map[string]struct {
		in   string
		want string // hexadecimal escapes; ignored where fails
		bad  bool
	}{
		"empty":                    {"", "", false},
		"standard":                 {"+/+/AA==", "\xfb\xff\xbf\x00", false},
		"space_for_plus":           {" / /AA==", "\xfb\xff\xbf\x00", false},
		"url_safe":                 {"-_-_AA==", "\xfb\xff\xbf\x00", false},
		"mixed":                    {"-/ _AA==", "\xfb\xff\xbf\x00", false},
		"unpadded":                 {"+/+/AA", "\xfb\xff\xbf\x00", false},
		"stray_line_ends_and_tabs": {"\t+/\r\n+/AA\n==\r\n", "\xfb\xff\xbf\x00", false},
		"half_padded":              {"AA=", "", true},
		"padded_too_much":          {"AA===", "", true},
		"padding_alone":            {"====", "", true},
		"padding_within":           {"AA==AAAA", "", true},
		"one_character_left":       {"AAAAA", "", true},
		"bits_left_over":           {"AB==", "", true},
		"garbage":                  {"AA*A", "", true},
		"percent":                  {"AA%3D%3D", "", true},
		"nul":                      {"AA\x00A", "", true},
		"another_script":           {"ＡＡＡＡ", "", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := wechat.DecodeBase64(test.in)
			if (err != nil) != test.bad || string(got) != test.want {
				t.Errorf("got %x, %v", got, err)
			}
		})
	}
}

// Whatever bytes are sent, they arrive, whichever way the base64 travelled.
func TestDecodeBase64_repairs_every_byte(t *testing.T) {
	raw := make([]byte, 256)
	for i := range raw {
		raw[i] = byte(255 - i)
	}
	for n := range len(raw) {
		std := base64.StdEncoding.EncodeToString(raw[:n])
		for name, in := range damaged(std) {
			if got, err := wechat.DecodeBase64(in); err != nil || !bytes.Equal(got, raw[:n]) {
				t.Fatalf("%d bytes, %s: got %x, %v", n, name, got, err)
			}
		}
	}
}

// damaged returns base64 as it arrives at servers.
func damaged(std string) map[string]string {
	urlSafe := strings.NewReplacer("+", "-", "/", "_").Replace(std)
	half := len(std) / 2
	return map[string]string{
		"as_it_was":        std,
		"space_for_plus":   strings.ReplaceAll(std, "+", " "),
		"url_safe":         urlSafe,
		"unpadded":         strings.TrimRight(std, "="),
		"url_unpadded":     strings.TrimRight(urlSafe, "="),
		"wrapped":          std[:half] + "\r\n" + std[half:] + "\n",
		"spaces_and_wraps": strings.ReplaceAll(std[:half]+"\n\t"+std[half:], "+", " "),
	}
}
