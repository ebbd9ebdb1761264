package push_test

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"wxlogin/wechat/push"
	"wxlogin/wechat/wechattest"
)

// Those of the samples in WeChat's documentation.
const (
	appID = "wxba5fad812f8e6fb9"
	token = "AAAAA"
)

// The official key of 43 "A" is that of 32 zero bytes.
var aesKey = strings.Repeat("A", 43)

const sealedSample = "+qdx1OKCy+5JPCBFWw70tm0fJGb2Jmeia4FCB7kao+/Q5c/ohsOzQHi8khUOb05JCpj0JB4RvQMkUyus8TPxLKJGQqcvZqzDpVzazhZv6JsXUnnR8XGT740" +
	"XgXZUXQ7vJVnAG+tE8NUd4yFyjPy7GgiaviNrlCTj+l5kdfMuFUPpRSrfMZuMcp3Fn2Pede2IuQrKEYwKSqFIZoNqJ4M8EajAsjLY2km32IIjdf8YL/P50F7mStwntr" +
	"A2cPDrM1kb6mOcfBgRtWygb3VIYnSeOBrebufAlr7F9mFUPAJGj04="

const sample = `{"ToUserName":"gh_97417a04a28d","FromUserName":"o9AgO5Kd5ggOC-bXrbNODIiE3bGY","CreateTime":1714112445,"MsgType":"event",` +
	`"Event":"debug_demo","debug_str":"hello world"}`

// at is the time of the requests that request returns.
var at = time.Unix(1714112445, 0)

// newReceiver returns a Receiver in safe mode, or in plain mode if key is "".
func newReceiver(t testing.TB, key string, now time.Time) *push.Receiver {
	t.Helper()
	r, err := push.New(push.Options{AppID: appID, Token: token, EncodingAESKey: key, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// query parses a query.
func query(t testing.TB, text string) url.Values {
	t.Helper()
	q, err := url.ParseQuery(text)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// signed returns the query of a request at a time; encrypted is "" in plain mode.
func signed(now time.Time, encrypted string) url.Values {
	timestamp := strconv.FormatInt(now.Unix(), 10)
	q := url.Values{"timestamp": {timestamp}, "nonce": {"486452656"}, "signature": {wechattest.SignPush(token, timestamp, "486452656")}}
	if encrypted != "" {
		q.Set("encrypt_type", "aes")
		q.Set("msg_signature", wechattest.SignPush(token, timestamp, "486452656", encrypted))
	}
	return q
}

func envelope(encrypted string) []byte {
	return []byte(`{"ToUserName":"gh_1","Encrypt":"` + encrypted + `"}`)
}

func TestReceiver_OfficialSamples(t *testing.T) {
	echo, err := newReceiver(t, aesKey, time.Unix(1714036504, 0)).Echo(query(t,
		"signature=f464b24fc39322e44b38aa78f5edd27bd1441696&echostr=4375120948345356249&timestamp=1714036504&nonce=1514711492"))
	if err != nil || echo != "4375120948345356249" {
		t.Errorf("the check of the URL: %q, %v", echo, err)
	}
	plain, err := newReceiver(t, "", time.Unix(1714037059, 0)).Read(query(t,
		"signature=899cf89e464efb63f54ddac96b0a0a235f53aa78&timestamp=1714037059&nonce=486452656"), []byte(sample))
	if err != nil || string(plain) != sample {
		t.Errorf("plain mode: %q, %v", plain, err)
	}
	safe := query(t, "signature=6c5c811b55cc85e0e1b54100749188c20beb3f5d&timestamp=1714112445&nonce=415670741&"+
		"openid=o9AgO5Kd5ggOC-bXrbNODIiE3bGY&encrypt_type=aes&msg_signature=046e02f8204d34f8ba5fa3b1db94908f3df2e9b3")
	for name, body := range map[string]string{
		"JSON":         `{"ToUserName":"gh_97417a04a28d","Encrypt":"` + sealedSample + `"}`,
		"escaped JSON": `{"Encrypt":"` + strings.ReplaceAll(sealedSample, "/", `\/`) + `"}`,
		"XML":          "<xml>\n  <ToUserName><![CDATA[gh_97417a04a28d]]></ToUserName>\n  <Encrypt><![CDATA[" + sealedSample + "]]></Encrypt>\n</xml>\n",
	} {
		got, err := newReceiver(t, aesKey, at).Read(safe, []byte(body))
		if err != nil || string(got) != sample {
			t.Errorf("safe mode in %s: %q, %v", name, got, err)
		}
	}
}

// Parameters are checked in the same way in all modes.
func TestReceiver_Query(t *testing.T) {
	encrypted := wechattest.SealPush(aesKey, appID, []byte(sample))
	set := func(name string, values ...string) func(url.Values) {
		return func(q url.Values) { q[name] = values }
	}
	moved := func(d time.Duration) func(url.Values) {
		return func(q url.Values) {
			clear(q)
			for name, values := range signed(at.Add(d), encrypted) {
				q[name] = values
			}
			q.Set("echostr", "e")
		}
	}
	// In safe mode, signature may be missing, because msg_signature covers more.
	for name, tt := range map[string]struct {
		change      func(url.Values)
		plain, safe error
	}{
		"as WeChat sends it":        {func(url.Values) {}, nil, nil},
		"5 minutes old":             {moved(-5 * time.Minute), nil, nil},
		"5 minutes ahead":           {moved(5 * time.Minute), nil, nil},
		"older":                     {moved(-5*time.Minute - time.Second), push.ErrForbidden, push.ErrForbidden},
		"further ahead":             {moved(5*time.Minute + time.Second), push.ErrForbidden, push.ErrForbidden},
		"of 1970":                   {moved(-at.Sub(time.Unix(0, 0))), push.ErrForbidden, push.ErrForbidden},
		"no signature":              {func(q url.Values) { q.Del("signature") }, push.ErrForbidden, nil},
		"empty signature":           {set("signature", ""), push.ErrForbidden, push.ErrForbidden},
		"wrong signature":           {set("signature", strings.Repeat("0", 40)), push.ErrForbidden, push.ErrForbidden},
		"signature in upper case":   {set("signature", strings.ToUpper(signed(at, "").Get("signature"))), push.ErrForbidden, push.ErrForbidden},
		"signature twice":           {set("signature", signed(at, "").Get("signature"), signed(at, "").Get("signature")), push.ErrForbidden, push.ErrForbidden},
		"no msg_signature":          {func(q url.Values) { q.Del("msg_signature") }, nil, push.ErrForbidden},
		"wrong msg_signature":       {set("msg_signature", signed(at, "").Get("signature")), nil, push.ErrForbidden},
		"msg_signature twice":       {set("msg_signature", signed(at, encrypted).Get("msg_signature"), "x"), nil, push.ErrForbidden},
		"no timestamp":              {func(q url.Values) { q.Del("timestamp") }, push.ErrForbidden, push.ErrForbidden},
		"another timestamp":         {set("timestamp", "1714112446"), push.ErrForbidden, push.ErrForbidden},
		"timestamp twice":           {set("timestamp", "1714112445", "1714112445"), push.ErrForbidden, push.ErrForbidden},
		"timestamp in words":        {set("timestamp", "now"), push.ErrForbidden, push.ErrForbidden},
		"timestamp beyond 64 bits":  {set("timestamp", "99999999999999999999"), push.ErrForbidden, push.ErrForbidden},
		"no nonce":                  {func(q url.Values) { q.Del("nonce") }, push.ErrForbidden, push.ErrForbidden},
		"another nonce":             {set("nonce", "1"), push.ErrForbidden, push.ErrForbidden},
		"nonce twice":               {set("nonce", "486452656", "1"), push.ErrForbidden, push.ErrForbidden},
		"nothing":                   {func(q url.Values) { clear(q) }, push.ErrForbidden, push.ErrForbidden},
		"an unknown parameter more": {set("openid", "o1", "o2"), nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			q := signed(at, encrypted)
			q.Set("echostr", "e")
			tt.change(q)
			if _, err := newReceiver(t, "", at).Read(q, []byte(sample)); err != tt.plain {
				t.Errorf("plain mode: %v, want %v", err, tt.plain)
			}
			if _, err := newReceiver(t, "", at).Echo(q); err != tt.plain {
				t.Errorf("the check of the URL: %v, want %v", err, tt.plain)
			}
			if _, err := newReceiver(t, aesKey, at).Read(q, envelope(encrypted)); err != tt.safe {
				t.Errorf("safe mode: %v, want %v", err, tt.safe)
			}
		})
	}
}

// A timestamp that is signed and no number, or too large for a time, is not of the last minutes.
func TestReceiver_SignedTimestamps(t *testing.T) {
	for _, timestamp := range []string{"", " 1714112445", "1714112445.0", "-1", "9223372036854775807", "-9223372036854775808", "1714112445000"} {
		q := url.Values{"timestamp": {timestamp}, "nonce": {"n"}, "signature": {wechattest.SignPush(token, timestamp, "n")}, "echostr": {"e"}}
		if _, err := newReceiver(t, "", at).Echo(q); err != push.ErrForbidden {
			t.Errorf("%q: %v", timestamp, err)
		}
	}
}

func TestReceiver_Echo(t *testing.T) {
	for name, tt := range map[string]struct {
		echo []string
		want error
	}{
		"once":  {[]string{"<b>&"}, nil},
		"empty": {[]string{""}, nil},
		"none":  {nil, push.ErrMalformed},
		"twice": {[]string{"1", "2"}, push.ErrMalformed},
	} {
		q := signed(at, "")
		q["echostr"] = tt.echo
		echo, err := newReceiver(t, aesKey, at).Echo(q)
		if err != tt.want || err == nil && echo != tt.echo[0] {
			t.Errorf("%s: %q, %v", name, echo, err)
		}
	}
}

// encrypt encrypts whole blocks, whatever is in them.
func encrypt(t testing.TB, plain []byte) string {
	t.Helper()
	key := make([]byte, 32)
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, len(plain))
	cipher.NewCBCEncrypter(block, key[:aes.BlockSize]).CryptBlocks(data, plain)
	return base64.StdEncoding.EncodeToString(data)
}

func TestReceiver_SafeMode(t *testing.T) {
	head := strings.Repeat("r", 16) // the random bytes
	block := func(text, padding string, n int) string { return encrypt(t, []byte(text+strings.Repeat(padding, n))) }
	for name, tt := range map[string]struct {
		encrypted string
		want      error
	}{
		"good":                           {block(head+"\x00\x00\x00\x02{}"+appID, "\x18", 24), nil},
		"no message":                     {block(head+"\x00\x00\x00\x00"+appID, "\x1a", 26), nil},
		"padding of one block of AES":    {block(head+"\x00\x00\x00\x02{}"+appID, "\x08", 8), nil},
		"another appid":                  {wechattest.SealPush(aesKey, "wx0000000000000000", []byte(sample)), push.ErrForbidden},
		"no appid":                       {block(head+"\x00\x00\x00\x02{}", "\x0a", 10), push.ErrForbidden},
		"appid in upper case":            {wechattest.SealPush(aesKey, strings.ToUpper(appID), []byte(sample)), push.ErrForbidden},
		"length of 0, so the appid more": {block(head+"\x00\x00\x00\x00{}"+appID, "\x18", 24), push.ErrForbidden},
		"length beyond the end":          {block(head+"\x00\x00\x00\x7f{}"+appID, "\x18", 24), push.ErrMalformed},
		"length of 4 GiB":                {block(head+"\xff\xff\xff\xff{}"+appID, "\x18", 24), push.ErrMalformed},
		"no length":                      {block(head, "\x10", 16), push.ErrMalformed},
		"nothing but padding":            {block("", "\x20", 32), push.ErrMalformed},
		"padding of 0":                   {block(head+"\x00\x00\x00\x02{}"+appID, "\x00", 24), push.ErrMalformed},
		"padding of 33":                  {block(head+"\x00\x00\x00\x02{}"+appID, "\x21", 24), push.ErrMalformed},
		"padding beyond the beginning":   {block("", "\x11", 16), push.ErrMalformed},
		"uneven padding":                 {block(head+"\x00\x00\x00\x02{}"+appID+"\x17", "\x18", 23), push.ErrMalformed},
		"half a block":                   {base64.StdEncoding.EncodeToString(make([]byte, 40)), push.ErrMalformed},
		"no block":                       {"====", push.ErrMalformed},
		"no base64":                      {"!", push.ErrMalformed},
		"base64 without its end":         {sealedSample[:len(sealedSample)-1], push.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			message, err := newReceiver(t, aesKey, at).Read(signed(at, tt.encrypted), envelope(tt.encrypted))
			if err != tt.want || err != nil && message != nil {
				t.Errorf("%q, %v, want %v", message, err, tt.want)
			}
		})
	}
}

func TestReceiver_Envelopes(t *testing.T) {
	encrypted := wechattest.SealPush(aesKey, appID, []byte(sample))
	for name, tt := range map[string]struct {
		body string
		want error
	}{
		"JSON":              {`{"Encrypt":"` + encrypted + `"}`, nil},
		"a name with space": {`{" encrypt ":" ` + encrypted + ` "}`, nil},
		"lines in XML":      {"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<xml><Encrypt>\n" + encrypted + "\n</Encrypt></xml>", nil},
		"a plain message":   {sample, push.ErrForbidden},
		"a plain XML":       {"<xml><Event>x</Event></xml>", push.ErrForbidden},
		"empty Encrypt":     {`{"Encrypt":""}`, push.ErrForbidden},
		"Encrypt is a list": {`{"Encrypt":["` + encrypted + `"]}`, push.ErrForbidden},
		"other data":        {`{"Encrypt":"` + encrypted[4:] + `"}`, push.ErrForbidden},
		"nothing":           {"", push.ErrMalformed},
		"half of JSON":      {`{"Encrypt":"` + encrypted + `"`, push.ErrMalformed},
		"half of XML":       {`<xml><Encrypt>` + encrypted, push.ErrMalformed},
		"a form":            {"Encrypt=" + encrypted, push.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := newReceiver(t, aesKey, at).Read(signed(at, encrypted), []byte(tt.body)); err != tt.want {
				t.Errorf("%v, want %v", err, tt.want)
			}
			unsigned := signed(at, encrypted)
			unsigned.Del("signature")
			if _, err := newReceiver(t, aesKey, at).Read(unsigned, []byte(tt.body)); tt.want != nil && err != push.ErrForbidden {
				t.Errorf("without a valid signature: %v", err)
			}
		})
	}
}

// The last character of a key has two bits too many, which are not always zero.
func TestReceiver_SpareBits(t *testing.T) {
	encrypted := wechattest.SealPush(aesKey, appID, []byte(sample))
	for _, last := range []string{"A", "B", "C", "D"} {
		message, err := newReceiver(t, aesKey[:42]+last, at).Read(signed(at, encrypted), envelope(encrypted))
		if err != nil || string(message) != sample {
			t.Errorf("%s: %q, %v", last, message, err)
		}
	}
	if _, err := newReceiver(t, aesKey[:42]+"E", at).Read(signed(at, encrypted), envelope(encrypted)); err == nil {
		t.Error("E is another key")
	}
}

func TestNew(t *testing.T) {
	const secret = "s3cr3tTok3n"
	for name, o := range map[string]push.Options{
		"no appid":           {Token: secret},
		"no token":           {AppID: appID, EncodingAESKey: aesKey},
		"a short key":        {AppID: appID, Token: secret, EncodingAESKey: aesKey[1:]},
		"a long key":         {AppID: appID, Token: secret, EncodingAESKey: aesKey + "A"},
		"a key with its end": {AppID: appID, Token: secret, EncodingAESKey: aesKey + "="},
		"url-safe base64":    {AppID: appID, Token: secret, EncodingAESKey: aesKey[:42] + "_"},
		"a line break":       {AppID: appID, Token: secret, EncodingAESKey: aesKey[:42] + "\n"},
		"no base64":          {AppID: appID, Token: secret, EncodingAESKey: strings.Repeat("?", 43)},
	} {
		r, err := push.New(o)
		if err == nil || r != nil {
			t.Errorf("%s: no error", name)
		} else if strings.Contains(err.Error(), secret) || o.EncodingAESKey != "" && strings.Contains(err.Error(), o.EncodingAESKey) {
			t.Errorf("%s: the error has the token or the key", name)
		}
	}
	r, err := push.New(push.Options{AppID: appID, Token: token}) // with the real time
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(signed(time.Now(), ""), []byte("{}")); err != nil {
		t.Error(err)
	}
	if _, err := r.Read(signed(at, ""), []byte("{}")); !errors.Is(err, push.ErrForbidden) {
		t.Errorf("an old message: %v", err)
	}
}
