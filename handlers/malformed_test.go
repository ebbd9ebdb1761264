package handlers_test

import (
	"context"
	"encoding/base64"
	"strings"
	"sync/atomic"
	"testing"

	"wxlogin/handlers"
	"wxlogin/session"
)

// countedKeys counts how often the keys of other sessions are asked for.
type countedKeys struct {
	handlers.Sessions
	asked atomic.Int64
}

func (c *countedKeys) OtherSessionKeys(ctx context.Context, sess session.Session) ([]string, error) {
	c.asked.Add(1)
	return c.Sessions.OtherSessionKeys(ctx, sess)
}

// What no key can open is told from what does not open under this one: a login is of no use. It is no guess either.
func TestMalformed_open_data_is_an_invalid_request(t *testing.T) {
	const (
		badData = "The field encryptedData is not the base64 of whole blocks of 16 bytes."
		badIV   = "The field iv is not the base64 of 16 bytes."
	)
	bytes := func(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }
	keys := &countedKeys{}
	w := newWorld(t, limits(handlers.Limits{FailedUpdates: 2}), func(su *setup) {
		su.sessions = func(s handlers.Sessions) handlers.Sessions { keys.Sessions = s; return keys }
	})
	p := w.phone("alice")
	token := w.login(p).Token
	good := p.GetUserInfo()
	for name, test := range map[string]struct{ data, iv, detail string }{
		"data that is no base64":     {"%%%%", good.IV, badData},
		"data that is JSON":          {`{"a":1}`, good.IV, badData},
		"data percent-encoded twice": {strings.ReplaceAll(good.EncryptedData[:62], "A", "B") + "%3D", good.IV, badData},
		"data with a bad padding":    {bytes(16) + "=", good.IV, badData},
		"data of no bytes":           {"\n", good.IV, badData},
		"data of 1 byte":             {bytes(1), good.IV, badData},
		"data of 15 bytes":           {bytes(15), good.IV, badData},
		"data of 17 bytes":           {bytes(17), good.IV, badData},
		"data cut short":             {good.EncryptedData[:40], good.IV, badData},
		"data in hex":                {"0123456789abcdef0", good.IV, badData},
		"an iv that is no base64":    {good.EncryptedData, "undefined!", badIV},
		"an iv of no bytes":          {good.EncryptedData, "\t", badIV},
		"an iv of 3 bytes":           {good.EncryptedData, "AAAA", badIV},
		"an iv of 15 bytes":          {good.EncryptedData, bytes(15), badIV},
		"an iv of 17 bytes":          {good.EncryptedData, bytes(17), badIV},
		"both":                       {"x", "x", badData},
	} {
		for _, path := range []string{"/updateUserInfo", "/bindPhone"} {
			r := w.form(path, "token", token, "encryptedData", test.data, "iv", test.iv)
			w.wantProblem(r, 400, "invalid_request", "none")
			if r.body.Detail != test.detail {
				t.Errorf("%s, %s: %q", path, name, r.body.Detail)
			}
		}
	}
	if n := keys.asked.Load(); n != 0 {
		t.Errorf("the keys of other sessions were asked for %d times", n)
	}
	for _, outcome := range []string{"failed", "own_key", "other_key"} {
		if n := w.metric(`wxlogin_decryptions_total{outcome="` + outcome + `"}`); n != "" {
			t.Errorf("%s decryptions are %s", n, outcome)
		}
	}
	for range 3 { // no place of the limit was taken
		w.mustUpdate(token, good)
	}
	w.wantProblem(w.form("/updateUserInfo", "token", token, "encryptedData", garbage, "iv", garbage), 422, "undecryptable", "relogin")
}

// A session that is not there is the first thing to be said, and a code makes open data superfluous.
func TestMalformed_open_data_beside_other_things(t *testing.T) {
	w := newWorld(t)
	p := w.phone("alice")
	token := w.login(p).Token
	w.wantProblem(w.form("/updateUserInfo", "token", strings.Repeat("A", 43), "encryptedData", "x", "iv", "x"), 401, "invalid_token", "relogin")
	r := w.form("/bindPhone", "token", token, "code", p.PhoneCode(), "encryptedData", "x", "iv", "x")
	w.wantBound(r, p, "86", "138****"+p.PhoneNumber()[7:])
}
