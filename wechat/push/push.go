// Package push reads the messages that WeChat pushes to the server of a mini-program, such as that a person has withdrawn
// a consent:
//
//	receiver, err := push.New(push.Options{AppID: appID, Token: token, EncodingAESKey: key})
//	message, err := receiver.Read(r.URL.Query(), body)
//	event, err := push.ParseEvent(message)
//
// Token and EncodingAESKey are those of the page "message push" of the mini-program's console. With a key, messages must
// be encrypted ("safe mode", or the encrypted part of "compatible mode"), because the signature of a plain one does not
// cover its body. JSON and XML are both read, whichever the console is set to.
package push

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxAge is how old a message may be, and how far its clock may be ahead.
const maxAge = 5 * time.Minute

var (
	// ErrForbidden means that a message is not WeChat's, or not for this mini-program: its signature, time or appid is
	// wrong, or it is plain although there is a key.
	ErrForbidden = errors.New("push: not from WeChat, or not for this mini-program")

	// ErrMalformed means that a message is from WeChat and cannot be read.
	ErrMalformed = errors.New("push: malformed message")
)

// Options configure a Receiver. AppID and Token are required.
type Options struct {
	AppID          string
	Token          string
	EncodingAESKey string           // 43 characters; "" = plain mode
	Now            func() time.Time // default time.Now
}

// Receiver reads the messages to one mini-program. It is safe for concurrent use.
type Receiver struct {
	appID string
	token string
	key   []byte // AES-256; nil = plain mode
	now   func() time.Time
}

// New returns a Receiver. An error does not contain the token or the key.
func New(o Options) (*Receiver, error) {
	if o.AppID == "" || o.Token == "" {
		return nil, errors.New("push: AppID and Token are required")
	}
	r := &Receiver{appID: o.AppID, token: o.Token, now: o.Now}
	if r.now == nil {
		r.now = time.Now
	}
	if o.EncodingAESKey == "" {
		return r, nil
	}
	// The last character has two bits more than a key, which WeChat does not always set to zero.
	key, err := base64.StdEncoding.DecodeString(o.EncodingAESKey + "=")
	if err != nil || len(o.EncodingAESKey) != 43 || len(key) != 32 {
		return nil, errors.New("push: EncodingAESKey must be 43 characters: letters, digits, + and /")
	}
	r.key = key
	return r, nil
}

// Echo returns what to answer WeChat's check of the URL, a GET request with this query: its echostr. The error is
// ErrForbidden, or ErrMalformed if echostr is not given once.
func (r *Receiver) Echo(query url.Values) (string, error) {
	if !r.signed(query, "signature") || !r.recent(query) {
		return "", ErrForbidden
	}
	if len(query["echostr"]) != 1 {
		return "", ErrMalformed
	}
	return query.Get("echostr"), nil
}

// Read returns the message in the body of a POST request with this query: JSON or XML. The error is ErrForbidden or
// ErrMalformed.
func (r *Receiver) Read(query url.Values, body []byte) ([]byte, error) {
	if query.Has("signature") && !r.signed(query, "signature") || !r.recent(query) {
		return nil, ErrForbidden
	}
	if r.key == nil {
		if !query.Has("signature") {
			return nil, ErrForbidden
		}
		return body, nil
	}
	envelope, err := parse(body)
	if err != nil && query.Has("signature") {
		return nil, ErrMalformed
	}
	encrypted := envelope.get("Encrypt")
	if encrypted == "" || !r.signed(query, "msg_signature", encrypted) {
		return nil, ErrForbidden
	}
	message, appID, err := r.decrypt(encrypted)
	if err != nil {
		return nil, err
	}
	if appID != r.appID {
		return nil, ErrForbidden
	}
	return message, nil
}

// signed reports whether a parameter of the query is WeChat's signature: the SHA-1 of the token, the timestamp, the nonce
// and what else is signed, sorted and joined. Each parameter must be given once.
func (r *Receiver) signed(query url.Values, parameter string, more ...string) bool {
	for _, name := range []string{parameter, "timestamp", "nonce"} {
		if len(query[name]) != 1 {
			return false
		}
	}
	parts := append([]string{r.token, query.Get("timestamp"), query.Get("nonce")}, more...)
	slices.Sort(parts)
	sum := sha1.Sum([]byte(strings.Join(parts, "")))
	return subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(query.Get(parameter))) == 1
}

// recent reports whether the timestamp is of the last minutes.
func (r *Receiver) recent(query url.Values) bool {
	seconds, err := strconv.ParseInt(query.Get("timestamp"), 10, 64)
	return err == nil && r.now().Sub(time.Unix(seconds, 0)).Abs() <= maxAge
}

const (
	randomBytes = 16
	lengthBytes = 4
	blockSize   = 32 // of the padding; that of AES is 16
)

// decrypt decrypts what WeChat has encrypted: 16 random bytes, the length of the message in four bytes, the message, and
// the appid; AES-256-CBC, the IV is the beginning of the key.
func (r *Receiver) decrypt(encrypted string) (message []byte, appID string, err error) {
	data, err := base64.StdEncoding.DecodeString(encrypted)
	if err != nil || len(data) == 0 || len(data)%aes.BlockSize != 0 {
		return nil, "", ErrMalformed
	}
	block, err := aes.NewCipher(r.key)
	if err != nil {
		return nil, "", ErrMalformed
	}
	cipher.NewCBCDecrypter(block, r.key[:aes.BlockSize]).CryptBlocks(data, data)
	plain, ok := unpad(data)
	if !ok || len(plain) < randomBytes+lengthBytes {
		return nil, "", ErrMalformed
	}
	length := binary.BigEndian.Uint32(plain[randomBytes:])
	plain = plain[randomBytes+lengthBytes:]
	if uint64(length) > uint64(len(plain)) {
		return nil, "", ErrMalformed
	}
	return plain[:length], string(plain[length:]), nil
}

// unpad removes the padding: 1 to 32 bytes, each of them their number. The data has a signature, which was right, so the
// time that this takes says nothing to anybody.
func unpad(data []byte) ([]byte, bool) {
	n := int(data[len(data)-1])
	if n < 1 || n > blockSize || n > len(data) {
		return nil, false
	}
	end := len(data) - n
	return data[:end], bytes.Equal(data[end:], bytes.Repeat([]byte{byte(n)}, n))
}
