package push

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Events of personal data.
const (
	// UserInfoModified means that WeChat has cleaned a nickname or picture. OpenID may be missing.
	UserInfoModified = "user_info_modified"
	// AuthorizationRevoked means that a person has withdrawn the consent to what Event.Revoked lists.
	AuthorizationRevoked = "user_authorization_revoke"
	// AuthorizationCancelled means that a person has closed the WeChat account.
	AuthorizationCancelled = "user_authorization_cancellation"
)

// What may be in Event.Revoked; there are further numbers.
const (
	RevokedUserInfo = 6  // nickname and avatar
	RevokedPhone    = 8  // phone number
	RevokedNickName = 19 // nickname of the nickname keyboard
	RevokedAvatar   = 20 // avatar of chooseAvatar
)

// Event is a message about an event. Fields that the message does not have are empty.
type Event struct {
	Event     string    // such as UserInfoModified; "" = the message is not about an event
	CreatedAt time.Time // to the second; zero = unknown
	AppID     string    // of the mini-program
	OpenID    string    // the person in that mini-program
	Revoked   []int     // numbers of what was withdrawn
}

// ParseEvent reads a message, in JSON or XML. The error is ErrMalformed.
func ParseEvent(message []byte) (Event, error) {
	m, err := parse(message)
	if err != nil {
		return Event{}, ErrMalformed
	}
	e := Event{AppID: m.get("AppID"), OpenID: m.get("OpenID"), Revoked: parseRevoked(m.get("RevokeInfo"))}
	if kind := m.get("MsgType"); kind == "" || strings.EqualFold(kind, "event") {
		e.Event = m.get("Event")
	}
	if seconds, err := strconv.ParseInt(m.get("CreateTime"), 10, 64); err == nil && seconds > 0 {
		e.CreatedAt = time.Unix(seconds, 0).UTC()
	}
	return e, nil
}

// Withdrawn returns which data an event takes away: nothing for unknown numbers, and for those of data that a login server
// does not have.
func (e Event) Withdrawn() (nickName, avatar, phone bool) {
	if e.Event == UserInfoModified {
		return true, true, false
	}
	for _, number := range e.Revoked {
		nickName = nickName || number == RevokedUserInfo || number == RevokedNickName
		avatar = avatar || number == RevokedUserInfo || number == RevokedAvatar
		phone = phone || number == RevokedPhone
	}
	return nickName, avatar, phone
}

// Until returns the last moment that CreatedAt may mean, which is known to the second; the zero time if it is unknown.
func (e Event) Until() time.Time {
	if e.CreatedAt.IsZero() {
		return time.Time{}
	}
	return e.CreatedAt.Truncate(time.Second).Add(time.Second - time.Millisecond)
}

// parseRevoked reads RevokeInfo: a number, or several with commas between them. Elements that are no number are skipped.
func parseRevoked(info string) (numbers []int) {
	between := func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(",，、;；[]\"", r) }
	for _, part := range strings.FieldsFunc(info, between) {
		if n, err := strconv.Atoi(part); err == nil {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// fields are the fields of a message by name, in lower case: samples spell some names in several ways, and with spaces.
type fields map[string]string

func (f fields) get(name string) string { return f[strings.ToLower(name)] }

// set keeps the first value of a field.
func (f fields) set(name, value string) {
	name = strings.ToLower(strings.TrimSpace(name))
	if _, ok := f[name]; !ok {
		f[name] = strings.TrimSpace(value)
	}
}

var errNotAMessage = errors.New("push: neither a JSON object nor an XML element")

// parse reads the fields of a JSON object or of an XML element. Fields that are no text or number are left out, except
// that a JSON list is read as its text. What is not UTF-8, such as half an emoji in a text, is read as U+FFFD.
func parse(body []byte) (fields, error) {
	body = bytes.TrimSpace(bytes.ToValidUTF8(body, []byte("\ufffd")))
	switch {
	case bytes.HasPrefix(body, []byte("{")):
		return parseJSON(body)
	case bytes.HasPrefix(body, []byte("<")):
		return parseXML(body)
	}
	return nil, errNotAMessage
}

func parseJSON(body []byte) (fields, error) {
	f := fields{}
	dec := json.NewDecoder(bytes.NewReader(body))
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, err
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, err
		}
		f.set(name.(string), jsonText(raw))
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errNotAMessage
	}
	return f, nil
}

// jsonText returns a string's text, and the JSON of a number or list.
func jsonText(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	if raw[0] == '{' || bytes.Equal(raw, []byte("null")) {
		return ""
	}
	return string(raw)
}

func parseXML(body []byte) (fields, error) {
	var message struct {
		Elements []struct {
			XMLName xml.Name
			Text    string `xml:",chardata"`
		} `xml:",any"`
	}
	dec := xml.NewDecoder(bytes.NewReader(body))
	if err := dec.Decode(&message); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errNotAMessage
	}
	f := fields{}
	for _, element := range message.Elements {
		f.set(element.XMLName.Local, element.Text)
	}
	return f, nil
}
