package wechattest

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// pushTimeout is how long WeChat waits for the response to a message.
	pushTimeout = 5 * time.Second

	// maxPushResponse is how much of a response is read.
	maxPushResponse = 64 << 10

	encodingAESKeyLen = 43
	pushBlockSize     = 32 // of the padding; that of AES is 16
)

// Push is the server to which WeChat pushes the messages about a mini-program, as on the page "message push" of the
// mini-program's console.
type Push struct {
	URL            string
	Token          string
	EncodingAESKey string // 43 characters; "" = plain mode, else safe mode
}

// Validate returns an error if the URL, the Token or the key is invalid. It contains none of them.
func (p Push) Validate() error {
	u, err := url.Parse(p.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("the URL for pushes is not an http or https URL")
	}
	if p.Token == "" {
		return errors.New("the Token for pushes is missing")
	}
	if p.EncodingAESKey == "" {
		return nil
	}
	_, err = decodeAESKey(p.EncodingAESKey)
	return err
}

// Event is an event that WeChat pushes to the server of a mini-program.
type Event struct {
	Name       string    // such as user_authorization_revoke
	RevokeInfo string    // what is revoked, such as 8 or 6,8; "" = the message has no RevokeInfo
	CreatedAt  time.Time // default: now. WeChat repeats a message with its first CreateTime
	NoOpenID   bool      // leaves the OpenID out, as WeChat sometimes does in user_info_modified
	XML        bool      // default: JSON
}

// PushResponse is the response of a server to a message. WeChat repeats a message unless it is "success" or empty.
type PushResponse struct {
	Status int    `json:"status"` // of HTTP
	Body   string `json:"body"`
}

// Push pushes an event about the device's user to the server of the mini-program, once, and returns the response. The
// error says that Options.Pushes has no such server, or that it did not respond within 5 s.
func (d *Device) Push(ctx context.Context, e Event) (PushResponse, error) {
	return d.sim.PushMessage(ctx, d.id.appID, d.Message(e))
}

// Message returns the message about an event, as it is before encryption.
func (d *Device) Message(e Event) []byte {
	if e.CreatedAt.IsZero() {
		e.CreatedAt = d.sim.now()
	}
	m := pushedEvent{
		ToUserName: originalID(d.id.appID), FromUserName: cdata(d.OpenID()), CreateTime: e.CreatedAt.Unix(),
		MsgType: "event", Event: cdata(e.Name), OpenID: cdata(d.OpenID()), AppID: cdata(d.id.appID), RevokeInfo: cdata(e.RevokeInfo),
	}
	if e.NoOpenID {
		m.OpenID = ""
	}
	if e.XML {
		return encodeXML(m)
	}
	return encode(m)
}

// PushMessage pushes any message to the server of a mini-program; see [Device.Push]. A message that begins with "<" is
// sent in XML, any other in JSON.
func (s *Simulator) PushMessage(ctx context.Context, appID string, message []byte) (PushResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, pushTimeout)
	defer cancel()
	to, ok := s.pushes[appID]
	if !ok {
		return PushResponse{}, errors.New("this mini-program has no URL for pushes")
	}
	req, err := s.pushRequest(ctx, to, appID, message)
	if err != nil {
		return PushResponse{}, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // without the signed URL
		}
		return PushResponse{}, fmt.Errorf("no response from the URL for pushes: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxPushResponse))
	if err != nil {
		return PushResponse{}, fmt.Errorf("half a response from the URL for pushes: %w", err)
	}
	return PushResponse{res.StatusCode, string(body)}, nil
}

// pushRequest returns the request with which WeChat pushes a message: signed and, in safe mode, encrypted.
func (s *Simulator) pushRequest(ctx context.Context, to Push, appID string, message []byte) (*http.Request, error) {
	target, err := url.Parse(to.URL)
	if err != nil {
		return nil, err
	}
	timestamp := strconv.FormatInt(s.now().Unix(), 10)
	nonce := strconv.FormatUint(uint64(binary.BigEndian.Uint32(randomBytes(4))), 10)
	query := target.Query()
	query.Set("signature", SignPush(to.Token, timestamp, nonce))
	query.Set("timestamp", timestamp)
	query.Set("nonce", nonce)
	isXML := bytes.HasPrefix(message, []byte("<"))
	if to.EncodingAESKey != "" {
		encrypted := SealPush(to.EncodingAESKey, appID, message)
		query.Set("encrypt_type", "aes")
		query.Set("msg_signature", SignPush(to.Token, timestamp, nonce, encrypted))
		envelope := pushedEnvelope{ToUserName: originalID(appID), Encrypt: cdata(encrypted)}
		message = encode(envelope)
		if isXML {
			message = encodeXML(envelope)
		}
	}
	target.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), bytes.NewReader(message))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if isXML {
		req.Header.Set("Content-Type", "text/xml")
	}
	return req, nil
}

// SignPush returns WeChat's signature of a pushed message: the SHA-1, in hex, of the Token and the other parts, sorted and
// joined. The parts are the timestamp and the nonce, for msg_signature also the encrypted message.
func SignPush(token string, parts ...string) string {
	parts = append([]string{token}, parts...)
	slices.Sort(parts)
	sum := sha1.Sum([]byte(strings.Join(parts, "")))
	return hex.EncodeToString(sum[:])
}

// SealPush encrypts a message as WeChat does in safe mode: 16 random bytes, the length of the message in four bytes, the
// message and the appid, padded to 32 bytes, AES-256-CBC, base64. It panics if the EncodingAESKey is invalid.
func SealPush(encodingAESKey, appID string, message []byte) string {
	key, err := decodeAESKey(encodingAESKey)
	if err != nil {
		panic("wechattest: SealPush: " + err.Error())
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("wechattest: SealPush: " + err.Error())
	}
	data := binary.BigEndian.AppendUint32(randomBytes(16), uint32(len(message)))
	data = append(append(data, message...), appID...)
	n := pushBlockSize - len(data)%pushBlockSize
	data = append(data, bytes.Repeat([]byte{byte(n)}, n)...)
	cipher.NewCBCEncrypter(block, key[:aes.BlockSize]).CryptBlocks(data, data)
	return base64.StdEncoding.EncodeToString(data)
}

func decodeAESKey(encoded string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(encoded + "=")
	if err != nil || len(encoded) != encodingAESKeyLen || len(key) != 32 {
		return nil, errors.New("an EncodingAESKey must be 43 characters: letters, digits, + and /")
	}
	return key, nil
}

// cdata is text that is a CDATA section in XML.
type cdata string

// MarshalXML implements xml.Marshaler.
func (c cdata) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	return e.EncodeElement(struct {
		Text string `xml:",cdata"`
	}{string(c)}, start)
}

// pushedEvent is a message about an event, with the names of WeChat's documentation.
type pushedEvent struct {
	XMLName      xml.Name `json:"-" xml:"xml"`
	ToUserName   cdata
	FromUserName cdata
	CreateTime   int64
	MsgType      cdata
	Event        cdata
	OpenID       cdata `json:",omitempty" xml:",omitempty"`
	AppID        cdata
	RevokeInfo   cdata `json:",omitempty" xml:",omitempty"`
}

// pushedEnvelope is the body of a message in safe mode.
type pushedEnvelope struct {
	XMLName    xml.Name `json:"-" xml:"xml"`
	ToUserName cdata
	Encrypt    cdata
}

// originalID returns the original id of a mini-program, which is made up.
func originalID(appID string) cdata {
	sum := sha256.Sum256([]byte("original id\x00" + appID))
	return cdata("gh_" + hex.EncodeToString(sum[:6]))
}

// encodeXML returns XML without a declaration, as WeChat does.
func encodeXML(v any) []byte {
	text, err := xml.Marshal(v)
	if err != nil {
		panic("wechattest: " + err.Error()) // only this package's structs are encoded
	}
	return text
}
