package server

import (
	"fmt"
	"strings"
	"testing"
)

// The framing of a request is unambiguous, or the request is rejected and the connection closed.
func TestFraming(t *testing.T) {
	w := newTestServer(t)
	body := func() string { return "code=" + w.code() }
	for name, tt := range map[string]rawTest{
		"whole":                       {w.login(last), []string{ok}, 1, 1},
		"pipelined":                   {w.login() + w.login(last), []string{ok, ok}, 2, 2},
		"expect continue":             {w.login("Expect: 100-continue", last), []string{"100", ok}, 1, 1},
		"expect other":                {w.login("Expect: 200-ok", last), []string{"417"}, 0, 0},
		"body larger than its length": {form(loginLine, 3) + end + body() + "\r\n\r\n", []string{invalid, refused}, 1, 0},
		"body of a get":               {form("GET /onLogin HTTP/1.1", 5, last) + end + "code=", []string{notAllowed}, 1, 0},
		"field twice":                 {form(loginLine, 11, last) + end + "code=a&code", []string{invalid}, 1, 0},
		"method override":             {form(loginLine, 0, "X-HTTP-Method-Override: GET", last) + end, []string{invalid}, 1, 0},
		"one length twice":            {form(loginLine, 5, "Content-Length: 5", last) + end + "code=", []string{invalid}, 1, 0},
		"two lengths":                 {form(loginLine, 5, "Content-Length: 6") + end + "code=x", []string{refused}, 0, 0},
		"negative length":             {form(loginLine, -1) + end, []string{refused}, 0, 0},
		"length with plus":            {length("+5") + "code=", []string{refused}, 0, 0},
		"length in hex":               {length("0x5") + "code=", []string{refused}, 0, 0},
		"length too large":            {length("99999999999999999999"), []string{refused}, 0, 0},
		"list of lengths":             {length("5, 5") + "code=", []string{refused}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) { w.run(t, tt) })
	}
}

// A chunked body is read and ends its connection: data after it is not read as a request.
func TestFraming_Chunked(t *testing.T) {
	w := newTestServer(t)
	notImplemented := []string{"501 text/plain"}
	good := func() string {
		body := "code=" + w.code()
		return fmt.Sprintf("%x\r\n%s\r\n", len(body), body) + emptyChunk
	}
	for name, tt := range map[string]rawTest{
		"whole":            {coded("chunked") + good(), []string{ok}, 1, 1},
		"followed":         {coded("chunked") + good() + nextLogin, []string{ok}, 1, 1},
		"with a length":    {form(loginLine, 3, "Transfer-Encoding: chunked") + end + good() + nextLogin, []string{ok}, 1, 1},
		"twice":            {coded("chunked", "Transfer-Encoding: chunked") + emptyChunk, notImplemented, 0, 0},
		"other coding":     {coded("xchunked") + emptyChunk, notImplemented, 0, 0},
		"identity":         {coded("identity"), notImplemented, 0, 0},
		"gzip too":         {coded("gzip, chunked") + emptyChunk, notImplemented, 0, 0},
		"behind a control": {coded("\vchunked") + emptyChunk, []string{refused}, 0, 0},
		"size no number":   {coded("chunked") + "zz\r\ncode=\r\n" + emptyChunk, []string{invalid}, 1, 0},
		"size negative":    {coded("chunked") + "-5\r\ncode=\r\n" + emptyChunk, []string{invalid}, 1, 0},
		"size too large":   {coded("chunked") + "fffffffffffffffff\r\ncode=\r\n" + emptyChunk, []string{invalid}, 1, 0},
		"longer than size": {coded("chunked") + "3\r\ncode=abc\r\n" + emptyChunk, []string{invalid}, 1, 0},
		"over 64 KiB": {coded("chunked") + "20000\r\n" + strings.Repeat("a", 0x20000) + end + emptyChunk,
			[]string{tooLarge}, 1, 0},
		"not in http 1 0": {form("POST /onLogin HTTP/1.0", 3, "Transfer-Encoding: chunked") + end + "cod",
			[]string{invalid}, 1, 0},
	} {
		t.Run(name, func(t *testing.T) { w.run(t, tt) })
	}
}

// A header that two parsers could read differently is rejected.
func TestFraming_Header(t *testing.T) {
	w := newTestServer(t)
	for name, tt := range map[string]rawTest{
		"space before colon":  {form(loginLine, 0, "X : y") + end, []string{refused}, 0, 0},
		"space before name":   {head(loginLine, " X: y", "Host: x") + end, []string{refused}, 0, 0},
		"no colon":            {form(loginLine, 0, "X") + end, []string{refused}, 0, 0},
		"empty name":          {form(loginLine, 0, ": y") + end, []string{refused}, 0, 0},
		"bad name":            {form(loginLine, 0, "X(: y") + end, []string{refused}, 0, 0},
		"nul":                 {form(loginLine, 0, "X: a\x00b") + end, []string{refused}, 0, 0},
		"bare cr":             {form(loginLine, 0, "X: a\rb") + end, []string{refused}, 0, 0},
		"bare lf is an end":   {form(loginLine, 0, "X: a\nContent-Length: 1") + end, []string{refused}, 0, 0},
		"folded is one value": {form(loginLine, 0, "X: a", " Content-Length: 7", last) + end, []string{invalid}, 1, 0},
		"no host":             {head(loginLine, "Content-Length: 0") + end, []string{refused}, 0, 0},
		"two hosts":           {form(loginLine, 0, "Host: y") + end, []string{refused}, 0, 0},
		"bad host":            {head(loginLine, "Host: a/b c", "Content-Length: 0") + end, []string{refused}, 0, 0},
		"http 0 9":            {"GET /onLogin\r\n", []string{refused}, 0, 0},
		"http 1 0":            {form("POST /onLogin HTTP/1.0", 0) + end, []string{invalid}, 1, 0},
		"http 1 0 no host":    {head("POST /onLogin HTTP/1.0", formType, "Content-Length: 0") + end, []string{invalid}, 1, 0},
		"http 2 0":            {head("GET / HTTP/2.0", "Host: x") + end, []string{"505 text/plain"}, 0, 0},
		"http 2 preface":      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", []string{notAllowed}, 1, 0},
		"lower case protocol": {head("GET / http/1.1", "Host: x") + end, []string{refused}, 0, 0},
		"no http":             {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", []string{refused}, 0, 0},
		"too large":           {form(loginLine, 0, "X: "+strings.Repeat("a", 20<<10)) + end, []string{"431 text/plain"}, 0, 0},
		"too many":            {form(loginLine, 0, strings.Repeat("X: y\r\n", 4<<10)) + end, []string{"431 text/plain"}, 0, 0},
		"path too long":       {form("POST /"+strings.Repeat("a", 20<<10)+" HTTP/1.1", 0) + end, []string{"431 text/plain"}, 0, 0},
		"just small enough":   {form(loginLine, 0, "X: "+strings.Repeat("a", 15<<10), last) + end, []string{invalid}, 1, 0},
		"bad method":          {form("PO(ST /onLogin HTTP/1.1", 0) + end, []string{refused}, 0, 0},
		"lower case method":   {form("post /onLogin HTTP/1.1", 0, last) + end, []string{notAllowed}, 1, 0},
	} {
		t.Run(name, func(t *testing.T) { w.run(t, tt) })
	}
}

// A path must match a route byte by byte. There are no redirects.
func TestFraming_Targets(t *testing.T) {
	w := newTestServer(t)
	for target, want := range map[string]string{
		"/onLogin": invalid, "http://elsewhere.example/onLogin": invalid, "/onLogin?code=x&next=//evil": invalid,
		"/": notFound, "/onlogin": notFound, "/onLogin/": notFound, "//onLogin": notFound, "/./onLogin": notFound,
		"/x/../onLogin": notFound, "/onLogin%2f": notFound, "/%6fnLogin": notFound, "/onLogin%00": notFound,
		"/onLogin;x": notFound, "/onLogin%3f": notFound, `/\onLogin`: notFound, "/.%2e/onLogin": notFound,
		"/healthz": notFound, "/readyz": notFound, "/metrics": notFound, "*": notFound,
		"/%zz": refused, "onLogin": refused, "": refused, "/on Login": refused,
	} {
		t.Run(strings.ReplaceAll(target, "/", "|"), func(t *testing.T) {
			tt := rawTest{send: form("POST "+target+" HTTP/1.1", 0, last) + end, responses: []string{want}, handled: 1}
			if want == refused {
				tt.handled = 0
			}
			w.run(t, tt)
		})
	}
	for line, want := range map[string]string{
		"GET /onLogin": notAllowed, "PUT /onLogin": notAllowed, "TRACE /onLogin": notAllowed, "OPTIONS /onLogin": notAllowed,
		"OPTIONS *": notFound, "CONNECT elsewhere.example:443": notFound, "CONNECT /onLogin": notAllowed,
		"MADEUP /onLogin": notAllowed,
	} {
		t.Run(strings.ReplaceAll(line, "/", "|"), func(t *testing.T) {
			w.run(t, rawTest{send: form(line+" HTTP/1.1", 0, last) + end, responses: []string{want}, handled: 1})
		})
	}
}
