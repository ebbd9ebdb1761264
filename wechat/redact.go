package wechat

import (
	"fmt"
	"io"
	"log/slog"
)

// The types here hold secrets. fmt prints unexported fields too, and with some verbs passes String by, so each of them
// is a fmt.Formatter.

const redacted = "[redacted]"

// String describes the session without its session_key.
func (s Session) String() string {
	return fmt.Sprintf("wechat.Session{OpenID:%q UnionID:%q SessionKey:%s}", s.OpenID, s.UnionID, redacted)
}

// GoString is String: %#v shows no session_key either.
func (s Session) GoString() string { return s.String() }

// Format is String for every verb.
func (s Session) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// LogValue gives slog the openid and unionid only.
func (s Session) LogValue() slog.Value {
	return slog.GroupValue(slog.String("openid", s.OpenID), slog.String("unionid", s.UnionID))
}

// String says only that it is a phone number.
func (p PhoneNumber) String() string { return "wechat.PhoneNumber{" + redacted + "}" }

// GoString is String: %#v shows no phone number either.
func (p PhoneNumber) GoString() string { return p.String() }

// Format is String for every verb.
func (p PhoneNumber) Format(f fmt.State, _ rune) { io.WriteString(f, p.String()) }

// LogValue gives slog what String says.
func (p PhoneNumber) LogValue() slog.Value { return slog.StringValue(p.String()) }

// String describes the options without the AppSecret.
func (o Options) String() string {
	return fmt.Sprintf("wechat.Options{AppID:%q Secret:%s Timeout:%s}", o.AppID, redacted, o.Timeout)
}

// GoString is String: %#v shows no AppSecret either.
func (o Options) GoString() string { return o.String() }

// Format is String for every verb.
func (o Options) Format(f fmt.State, _ rune) { io.WriteString(f, o.String()) }

// LogValue gives slog what String says.
func (o Options) LogValue() slog.Value { return slog.StringValue(o.String()) }

// String describes the client without the AppSecret.
func (c *Client) String() string { return fmt.Sprintf("wechat.Client{AppID:%q}", c.appID) }

// GoString is String: %#v shows no AppSecret either.
func (c *Client) GoString() string { return c.String() }

// Format is String for every verb.
func (c *Client) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// LogValue gives slog what String says.
func (c *Client) LogValue() slog.Value { return slog.StringValue(c.String()) }
