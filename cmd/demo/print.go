package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strings"

	"wxlogin/internal/demopage"
)

// printer writes the walk's transcript. What is secret in earnest (code, token, iv, …) is cut to its beginning.
type printer struct{ w io.Writer }

// shownLength is how much of a long value is printed.
const shownLength = 6

// brief cuts a value that is a secret or is long.
func brief(value string) string {
	r := []rune(value)
	if len(r) <= shownLength {
		return value
	}
	return fmt.Sprintf("%s…(%d)", string(r[:shownLength]), len(r))
}

func (p printer) intro() {
	fmt.Fprint(p.w, "wxlogin in one process: embedded MySQL and Redis, a WeChat simulator, the real server.\n"+
		"phone = the mini-program, → = its request, ← = the answer. Long values are cut: abcdef…(length).\n")
}

func (p printer) heading(n int, title string) { fmt.Fprintf(p.w, "\n%d. %s\n", n, title) }

// phone prints a call of the wx API with what it gives: names and values in turn.
func (p printer) phone(call string, results ...string) {
	fmt.Fprintf(p.w, "   phone  %s", call)
	for i := 0; i < len(results); i += 2 {
		fmt.Fprintf(p.w, " %s=%s", results[i], brief(results[i+1]))
	}
	fmt.Fprintln(p.w)
}

func (p printer) request(path string, form url.Values) {
	fmt.Fprintf(p.w, "   →      POST %s", path)
	for _, name := range []string{"code", "token", "encryptedData", "iv", "rawData", "signature"} {
		if form.Has(name) {
			fmt.Fprintf(p.w, " %s=%s", name, brief(form.Get(name)))
		}
	}
	fmt.Fprintln(p.w)
}

// tokenInBody finds the token in an answer.
var tokenInBody = regexp.MustCompile(`("token": ?")([^"]+)"`)

func (p printer) answer(status string, body []byte) {
	var indented bytes.Buffer
	if err := json.Indent(&indented, bytes.TrimSpace(body), "          ", "  "); err != nil {
		indented.Reset()
		indented.Write(body)
	}
	text := tokenInBody.ReplaceAllStringFunc(indented.String(), func(found string) string {
		parts := tokenInBody.FindStringSubmatch(found)
		return parts[1] + brief(parts[2]) + `"`
	})
	fmt.Fprintf(p.w, "   ←      %s\n          %s\n", status, text)
}

// row prints one row of a table, a column a line.
func (p printer) row(table string, row []demopage.Column) {
	fmt.Fprintf(p.w, "   mysql  SELECT … FROM %s\n", table)
	for _, column := range row {
		value := "NULL"
		if column.Value != nil {
			value = *column.Value
		}
		fmt.Fprintf(p.w, "          %16s: %s\n", column.Name, value)
	}
}

func (p printer) key(key demopage.Key) {
	name, id, _ := strings.Cut(strings.TrimPrefix(key.Name, "wxlogin:"), ":")
	if name == "session" {
		id = brief(id)
	}
	fmt.Fprintf(p.w, "   redis  wxlogin:%s:%s = %s, expires in %d h\n", name, id, key.Value, (key.ExpiresIn+1800)/3600)
}

func (p printer) failed(err error) { fmt.Fprintf(p.w, "   FAILED %v\n", err) }

func (p printer) done(steps int) { fmt.Fprintf(p.w, "\nAll %d steps went as they should.\n", steps) }
