package wechat

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is a string that must not be shown: an AppSecret, a session_key, a phone number. Printed with any verb, logged
// or marshalled it is "[redacted]". To use the value, convert it: string(s).
//
// fmt calls no methods of unexported fields, so a struct that holds a Secret in one must be a fmt.Formatter itself.
type Secret string

// String returns "[redacted]".
func (Secret) String() string { return redacted }

// Format prints "[redacted]" for every verb, also for those that do not call String, such as %x and %#v.
func (Secret) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue returns "[redacted]", for log/slog.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns "[redacted]", for JSON, XML and YAML. encoding/json does not call it for the keys of a map.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
