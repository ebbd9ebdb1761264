package handlers

import "testing"

func TestMaskPhone(t *testing.T) {
	for number, want := range map[string]string{
		"13812345678":          "138****5678",
		"138123456789":         "138*****6789",
		"12345678901234567890": "123*************7890",
		"2025550123":           "*******123",
		"51234567":             "******67",
		"123":                  "**3",
		"12":                   "**",
		"":                     "",
	} {
		if got := maskPhone(number); got != want {
			t.Errorf("%s becomes %s, want %s", number, got, want)
		}
	}
}
